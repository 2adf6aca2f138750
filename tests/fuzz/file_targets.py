"""Files that users keep: plans, journals, policies, images in use, snapshots."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from regscope.errors import RegscopeError
from regscope.file_rows import FilesOnDisk, FilesWriter
from regscope.remediation.in_use import images_in_use
from regscope.remediation.journal_reader import read_beginning, read_journal
from regscope.remediation.journal_writer import JournalWriter
from regscope.remediation.plan import Plan
from regscope.remediation.planning import plan
from regscope.remediation.policy import policy_from_file
from regscope.remediation.retention import Retention
from regscope.schema import TABLES
from regscope.spec.digest import Digest
from regscope.tables import Snapshot
from tests.fuzz.json_mutation import documents_changed, json_changed, lines_changed
from tests.fuzz.mutation import changed
from tests.fuzz.target import Target, these
from tests.lab.documents import DIGEST, json_values
from tests.lab.snapshots import Registry

_RAW = b'{"schemaVersion": 2}'
_LOCATION = "http://localhost:5000"


@cache
def _snapshot() -> Snapshot:
    registry = Registry(a=1000, b=None)
    registry.image("one", ["a=RUN x", "b"], "app:1", "app:1.0")
    registry.image("two", ["a", "c"], "app:2", platform="linux/arm64/v8")
    registry.image("three", ["d"], "app:3", created=None)
    registry.index("all", ["one", "two"], "app:all")
    registry.image("sbom", ["e"], "app:sbom", kind="artifact")
    registry.image("old", ["f"], "legacy:1", kind="schema1")
    registry.place("app", registry.image("lost", ["g"]), "untagged")
    registry.rows["problems"].append(("app", "4", "manifest", "why"))
    return registry.snapshot()


def _plans() -> list[bytes]:
    policies = [
        Retention(tags=["1*", "2", "all"], protect=["v*", "latest"], untagged=True, in_use=["app:3", "no image!"]),
        [Retention(tags="2", keep_last=0), Retention(older_than="1s", labels={"a": "b*"}, platforms=["linux/arm64"])],
    ]
    found = []
    for policy in policies:
        plan(_snapshot(), policy).save("made.json")
        found.append(Path("made.json").read_bytes())
    return found


def _plan(raw: bytes) -> None:
    Path("plan.json").write_bytes(raw)
    found = Plan.load("plan.json")
    _ = found.identity, repr(found), found._repr_html_()


def _journals() -> list[bytes]:
    digest = Digest.of(_RAW)
    step: dict[str, Any] = {"repository": "app", "action": "delete", "tags": ["1", "2"], "digest": digest}
    step |= {"media_type": None, "raw": b64encode(_RAW).decode(), "frees": 20}
    head = {"regscope_journal": 2, "regscope": "1", "location": _LOCATION, "plan": "a"}
    lines = [
        {**head, "started": "2026-01-02T03:04:05+00:00"}, {"backup": "oci:/kept"},
        {"predicted": [[DIGEST, 5, 1]], "shared": [[DIGEST, 7, "app"]]}, step, {"done": f"app@{digest}"},
        {**step, "action": "untag", "tags": ["3"], "media_type": "a/b"}, {"stand_in": digest, "step": "app:3"},
        {"done": "app:3"},
    ]  # fmt: skip
    whole = [json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines]
    return [b"".join(whole), whole[0], whole[0] + whole[3]]


def _journal(raw: bytes) -> None:
    """As it is read, listed, and gone on with."""
    path = Path("journal")
    path.write_bytes(raw)
    record = read_journal(path)
    _ = record.table, record.done, repr(record), record._repr_html_()
    read_beginning(path)
    with JournalWriter(path, record.location, record.plan) as writer:
        writer.end("app:3")


_RULE = {
    "repositories": ["*"], "exclude_tags": ["latest"], "tags": ["v*", "/a.*/"], "keep_last": 5,
    "keep_last_by": "version",
    "keep_last_per": "(.+)-[0-9]+", "older_than": "30d", "platforms": ["linux/amd64"], "labels": {"a": "b"},
    "untagged": "7d", "orphans": True, "protect": ["latest", "team/app:1", DIGEST], "in_use": ["team/app:1.0"],
}  # fmt: skip
_YAML = (
    json.dumps(_RULE).encode(),
    json.dumps({"protect": ["latest"], "rules": [{"tags": "v*"}, {"untagged": True}]}).encode(),
    b"keep_last: 5\nolder_than: 30d\ntags: ['v*', '/a.*/']\nprotect: [latest, \"1\"]\nlabels: {a: b}\nuntagged: 7d\n",
    b"protect: &names [latest, v1]\nrules:\n  - {tags: v*, keep_last: 10}\n  - tags: *names\n    untagged: true\n",
    b"- tags: !!str 1\n- keep_last: 0x10\n  older_than: 12:30:00\n  in_use: list\n- {<<: {tags: a}, orphans: yes}\n",
)
_TOML = (
    b'keep_last = 5\ntags = ["v*"]\nprotect = ["latest"]\nuntagged = "7d"\n[labels]\na = "b"\n',
    b'protect = ["latest"]\n[[rules]]\ntags = "v*"\n[[rules]]\norphans = true\nat = 1979-05-27T07:32:00Z\n',
)


def _policy(raw: bytes, name: str = "policy.yaml") -> None:
    Path(name).write_bytes(raw)
    repr(policy_from_file(name))


def _toml_policy(raw: bytes) -> None:
    _policy(raw, "policy.toml")


def _drawn_policies() -> SearchStrategy[bytes]:
    """Rules of which each field is of its form, or anything."""
    names = st.lists(
        st.text(max_size=8) | st.sampled_from(["*", "v*", "/v[0-9]+/", "/(/", DIGEST, "a/b:c"]), max_size=3
    )
    durations = st.from_regex(r"[0-9]{1,12} ?[wdhms]", fullmatch=True) | st.booleans() | json_values
    forms: dict[str, SearchStrategy[Any]] = dict.fromkeys(_RULE, names | json_values)
    forms |= {"keep_last": st.integers() | json_values, "older_than": durations, "untagged": durations}
    rule = st.fixed_dictionaries({}, optional=forms)
    rules = st.fixed_dictionaries({"rules": st.lists(rule, max_size=3) | json_values}, optional={"protect": names})
    return (rule | rules | st.lists(rule, max_size=3)).map(lambda document: json.dumps(document).encode())


_POD = {
    "kind": "Pod",
    "spec": {"containers": [{"image": "registry.example.com/a:b"}], "volumes": [{"image": {"reference": "v:1"}}]},
    "status": {"containerStatuses": [{"imageID": f"docker-pullable://a@{DIGEST}", "image": "sha256:1"}]},
}  # fmt: skip
_IN_USE = (
    json.dumps({"kind": "List", "items": [_POD, {"kind": "List", "items": [_POD]}]}).encode(),
    json.dumps({"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": {"spec": _POD["spec"]}}}}}).encode(),
    json.dumps(["a:1", f"team/app@{DIGEST}", DIGEST]).encode(),
    b"# what runs\na:1 b:2\nregistry.example.com/team/app:1.0  # here\n" + DIGEST.encode() + b"\n",
    b"---\nkind: Deployment\nspec: {template: {spec: {containers: [{image: a:1}]}}}\n---\n- &x b:2\n- *x\n",
    b'{"image": "a:1"}\n{"image": "b:2"}\n',
)


def _in_use(raw: bytes) -> None:
    Path("in-use").write_bytes(raw)
    images_in_use("in-use")


@cache
def _saved() -> dict[str, bytes]:
    """The files of a saved snapshot."""
    with TemporaryDirectory() as folder:
        saved = _snapshot().save(Path(folder) / "saved")
        return {path.name: path.read_bytes() for path in sorted(saved.iterdir())}


def _saved_files() -> list[bytes]:
    """Each file after its name and a line's end, in the order in which they are read."""
    order = ["snapshot.json", *(f"{table}.parquet" for table in TABLES)]
    return [name.encode() + b"\n" + _saved()[name] for name in order]


def _file_changed(random: Random, seeds: Sequence[bytes]) -> bytes:
    """One file, those that are read first more often: where one of them is damaged the others need not be read."""
    seed = random.choice(seeds[: random.randint(1, len(seeds))])
    name, _, content = seed.partition(b"\n")
    change = json_changed if name.endswith(b".json") else changed
    return name + b"\n" + change(random, [content])


def _load(data: bytes) -> None:
    """A snapshot of which one file is another."""
    folder = Path("saved")
    if not folder.is_dir():
        folder.mkdir()
        for name, content in _saved().items():
            (folder / name).write_bytes(content)
    name, _, changed_content = data.partition(b"\n")
    path = folder / Path(name.decode("latin-1")).name
    if path.name not in _saved():
        raise RegscopeError("no file of a snapshot")
    try:
        path.write_bytes(changed_content)
        found = Snapshot.load(folder)
        _ = found.fingerprint, repr(found), found._repr_html_()
    finally:
        path.write_bytes(_saved()[path.name])


def _partitions() -> list[bytes]:
    from tests.lab.tars import END, entry, header, rows_of

    rows = rows_of(entry("a", b"hello") + header("d/", flag=b"5") + header("s", flag=b"2", link=b"a") + END)
    import pyarrow as pa

    table = rows.add_column(0, "layer_digest", pa.array([DIGEST] * rows.num_rows))
    with TemporaryDirectory() as folder:
        writer = FilesWriter(folder)
        writer.add(table)
        writer.close()
        return [path.read_bytes() for path in Path(folder).iterdir()]


def _files(raw: bytes) -> None:
    """The rows of files that are on disk."""
    Path("files").mkdir(exist_ok=True)
    Path("files/part-00000.parquet").write_bytes(raw)
    files = FilesOnDisk("files")
    _ = len(files), files.frame(), files.head()


TARGETS = (
    Target("plans", _plan, _plans, json_changed, 20),
    Target("journals", _journal, _journals, lines_changed, 30),
    Target("policies", _policy, these(*_YAML), documents_changed, 20, _drawn_policies),
    Target("toml-policies", _toml_policy, these(*_TOML), changed, 40),
    Target("images-in-use", _in_use, these(*_IN_USE), documents_changed, 40),
    Target("snapshots", _load, _saved_files, _file_changed, 20),
    Target("files-on-disk", _files, _partitions, changed, 20),
)
