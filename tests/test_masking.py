"""No secret of an address is shown: in whatever form it is written, in an error, a warning, a snapshot or a plan."""

from __future__ import annotations

import json
import pickle
import warnings
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem

import regscope as rs
from regscope.errors import InvalidInput, RegistryWarning, RegscopeError
from regscope.masking import without_secrets
from tests.lab.images import push
from tests.servers.registry import Registry

SECRET = "Zq7wJalrXUtn"
ODD = f"{SECRET}/K7MD+bPx=="

FORMS = {
    f"https://ann:{SECRET}@host.test/v2/": "https://host.test/v2/",
    f"HTTPS://ANN:{SECRET}@HOST.test/v2/": "HTTPS://HOST.test/v2/",
    f"https://{SECRET}@host.test:5000/v2/": "https://host.test:5000/v2/",
    f"https://ann:{SECRET}%40x@host.test": "https://host.test",
    f"https://ann:{SECRET}@x@host.test/y": "https://host.test/y",
    f"https://ann:{SECRET}/x@host.test/y": "https://host.test/y",
    f"https://ann:{SECRET}#x@host.test/y": "https://host.test/y",
    f"https://ann:{SECRET}?x@host.test/y": "https://host.test/y",
    f"https://ann:'{SECRET}'@host.test/y": "https://host.test/y",
    f"http://ann:{SECRET}@[::1]:5000/v2/": "http://[::1]:5000/v2/",
    f"https://host.test:99999/b?signature={SECRET}": "https://host.test:99999/b",
    f"https://[bad/b?signature={SECRET}": "https://[bad/b",
    f"https://host.test/t?access_token={SECRET}&x=1#d": "https://host.test/t",
    f"https://host.test/t#access_token={SECRET}": "https://host.test/t",
    f"https://host.test/t?{SECRET}": "https://host.test/t",
    f"/v2/app/blobs/uploads/1?_state={SECRET}": "/v2/app/blobs/uploads/1",
    f"host.test/t?sig={SECRET}": "host.test/t",
    f"//ann:{SECRET}@host.test/x": "//host.test/x",
    f"ann:{SECRET}@host.test:5000": "host.test:5000",
    f"ann:{SECRET}@host.test/app:1": "host.test/app:1",
    f"ann:{SECRET}@host.test:repo.git": "host.test:repo.git",
    f"ann:{SECRET}@[::1]:5000": "[::1]:5000",
    f"ssh://git:{SECRET}@host.test/x.git": "ssh://host.test/x.git",
    f"git+https://ann:{SECRET}@host.test/x.git": "git+https://host.test/x.git",
    f"s3://AKIA:{ODD}@bucket/prefix": "s3://bucket/prefix",
    f"storage:s3://AKIA:{ODD}@bucket/prefix": "storage:s3://bucket/prefix",
    f"storage:simplecache::s3://AKIA:{ODD}@bucket/x": "storage:simplecache::s3://bucket/x",
    f"az://box@account.blob.test/x?sv=1&sig={SECRET}": "az://box@account.blob.test/x",
    f"https://account.blob.test/box?sv=2&se=3&sig={SECRET}%3D": "https://account.blob.test/box",
    f"https://b.s3.test/x?X-Amz-Credential=A&X-Amz-Signature={SECRET}": "https://b.s3.test/x",
    f"https%3A%2F%2Fann%3A{SECRET}%40host.test%2Fx%3Fsig%3D{SECRET}": "https%3A%2F%2Fhost.test%2Fx",
    f"https%253A%252F%252Fann%253A{SECRET}%2540host.test%252Fx": "https%253A%252F%252Fhost.test%252Fx",
    f"Authorization: Bearer {SECRET}": "Authorization: ***",
    f"{{'authorization': 'Basic {SECRET}'}}": "{'authorization': '***'}",
    f"X-Registry-Auth: {SECRET}": "X-Registry-Auth: ***",
    f"sig={SECRET}&x=1": "sig=***&x=1",
    f"AccountName=a;AccountKey={SECRET}==;EndpointSuffix=b": "AccountName=a;AccountKey=***;EndpointSuffix=b",
    f'{{"access_token": "{SECRET}", "expires_in": 60}}': '{"access_token": "***", "expires_in": 60}',
    f"secret_key={SECRET}": "secret_key=***",
}
"""Forms with a secret in them, and what is to be shown of each."""

KEPT = [
    "team/app:1.0",
    f"app:1.0@sha256:{'a' * 64}",
    f"app@sha256:{'a' * 64}",
    f"host.test:5000/team/app:1.0@sha256:{'a' * 64}",
    f"http://host.test:5000/v2/app/manifests/sha256:{'a' * 64}",
    "http://[::1]:5000/v2/",
    "https://host.test:5000/v2/app/@x",
    "oci:folder",
    "oci:./my@folder",
    "docker-archive:app.tar",
    "storage:/data/registry",
    "az://box@account.dfs.test/x",
    "abfs://box@account.dfs.test/x",
    "write to me@example.com: it helps",
    "is it there? no=no",
    "REGSCOPE_PASSWORD is not set",
    "Basic authentication is asked for, Bearer is not",
    "app:v* and *@*",
    "the environment variable REGSCOPE_MIRRORS has 'a=b'",
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("around", ["{}", "cannot read '{}': no", "GET {} (see {})", "<{}>, {}"])
def test_no_secret_is_shown_in_any_form(form: str, around: str) -> None:
    shown = without_secrets(around.replace("{}", form))
    assert SECRET not in shown
    if around == "{}":
        assert shown == FORMS[form]
        assert without_secrets(shown) == shown


def test_a_token_before_a_host_is_one_where_nothing_else_is_said() -> None:
    assert without_secrets(f"{SECRET}@host.test:5000/x") == "host.test:5000/x"


@pytest.mark.parametrize("text", KEPT)
def test_what_is_no_secret_stays(text: str) -> None:
    assert without_secrets(text) == text
    assert without_secrets(f"there is no '{text}' (yet)") == f"there is no '{text}' (yet)"


@pytest.mark.parametrize("form", FORMS)
def test_errors_and_warnings_have_none(form: str) -> None:
    error = InvalidInput(f"cannot read {form!r}", next_step=f"Try {form}.")
    for each in (error, pickle.loads(pickle.dumps(error))):
        assert SECRET not in f"{each}{each!r}{vars(each)}{each.args}"
    request = rs.RequestError("refused", 400, url=form)
    assert SECRET not in f"{request}{request!r}{vars(request)}"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.warn(RegistryWarning(f"it says {form}"), stacklevel=1)
    assert SECRET not in f"{caught[0].message!r}"


@pytest.mark.parametrize(
    "location",
    [
        f"https://ann:{SECRET}@127.0.0.1:1",
        f"ann:{SECRET}@127.0.0.1:1",
        f"ftp://ann:{SECRET}@host.test",
        f"https://ann:{SECRET}@host.test:nine",
        f"storage:nosuch://ann:{SECRET}@host.test/x?sig={SECRET}",
        f"storage:memory://ann:{SECRET}@nothing?sig={SECRET}",
        f"storage:file:///nothing?sig={SECRET}",
        f"http://127.0.0.1:1/app?token={SECRET}",
    ],
)
def test_what_cannot_be_opened_or_read_is_named_without_them(location: str) -> None:
    with pytest.raises(RegscopeError) as caught:
        rs.scan(rs.open(location, cache=False, timeout=2), progress=False)
    assert SECRET not in f"{caught.value}{caught.value!r}{vars(caught.value)}"


class Bucket(LocalFileSystem):  # type: ignore[misc]
    """A file system whose addresses hold a key, as those of s3fs do."""

    protocol = "bucket"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(LocalFileSystem._strip_protocol(path.rpartition("@")[2].partition("?")[0]))


def test_a_snapshot_its_report_and_its_plan_have_none(layout: Path, tmp_path: Path) -> None:
    fsspec.register_implementation("bucket", Bucket, clobber=True)
    with Registry(tmp_path / "registry") as registry:
        push(layout, registry)
        place = f"storage:bucket://AKIA:{ODD}@{registry.storage}?sig={SECRET}"
        store = rs.open(place)
        snap = rs.scan(store, progress=False)
        assert len(snap.tags)
        plan = rs.plan(snap, rs.Retention(tags="*", keep_last=1))
        done = plan.apply(
            rs.open(registry.url, cache=False), dry_run=False, journal=tmp_path / "journal", progress=False
        )
    folder = snap.save(tmp_path / "saved")
    shown = [
        store.location, repr(store), store._repr_html_(), repr(snap), snap._repr_html_(), rs.report(snap).html,
        json.loads((folder / "snapshot.json").read_text())["location"], plan.save(tmp_path / "plan.json").read_text(),
        repr(plan), plan._repr_html_(), repr(done), *(path.read_text() for path in tmp_path.glob("journal*")),
    ]  # fmt: skip
    for text in shown:
        assert SECRET not in text
    assert snap.location == f"storage:bucket://{registry.storage}"
