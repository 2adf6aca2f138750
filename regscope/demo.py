"""A sample OCI layout, built from the files of the running Python installation: no network, no server, no account.

Its content is typical of registries: shared bases, several versions, an index for two platforms with an attestation, an
SBOM, a wasteful image, an untagged manifest, one build that was run twice with different results, and an image with
made-up secrets, deleted in a later layer, and a setuid program.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import shutil
import sysconfig
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from regscope.errors import InvalidInput
from regscope.spec.annotations import ATTESTATION_MANIFEST, REFERENCE_DIGEST, REFERENCE_TYPE, TITLE, VERSION
from regscope.spec.descriptor import Descriptor
from regscope.spec.json_forms import one_line
from regscope.spec.platform import Platform
from regscope.stores.layout_writer import Layer, LayoutWriter, tar_of

_CORE = ("encodings", "importlib", "collections", "json", "re", "logging", "os.py", "io.py", "abc.py", "pathlib.py")
_MORE = ("asyncio", "concurrent", "email", "html", "http", "multiprocessing", "sqlite3", "unittest", "urllib", "xml")
_ON_TEAMS = "usr/local/lib/python3/site-packages"
_SETUP = 'ENV PATH="/usr/local/bin:/usr/bin:/bin"'

_WRITTEN = ".regscope-demo"
"""A file in the layout that names all others: what is not named there is not the sample's."""

Files = dict[str, bytes]


def build_demo(folder: Path | str) -> Path:
    """Write the sample layout into `folder`, and return it; an earlier sample there is replaced.

    Raises:
        InvalidInput: the folder has other content, or images that were copied to the sample.
    """
    folder = Path(folder)
    check_free_for_demo(folder, folder)
    if folder.is_dir():
        shutil.rmtree(folder)
    with LayoutWriter(folder) as writer:
        _Demo(writer).build()
    (folder / _WRITTEN).write_text("".join(f"{path}\n" for path in sorted(_files_in(folder))), encoding="utf-8")
    return folder


def check_free_for_demo(folder: Path, layout: Path) -> None:
    """Make sure that no content of the user is lost: `folder` is new or empty, or `layout` is an unchanged sample.

    Raises:
        InvalidInput: it has other content.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())) or _is_sample(layout):
        return
    raise InvalidInput(
        f"{folder} has content that is no sample layout: nothing was changed",
        next_step="Name a folder that is empty or does not exist yet.",
    )


def _is_sample(layout: Path) -> bool:
    """Whether a folder has what `build_demo` wrote, and nothing else."""
    try:
        written = (layout / _WRITTEN).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return False
    return not layout.is_symlink() and _files_in(layout) <= {_WRITTEN, *written}


def _files_in(folder: Path) -> set[str]:
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return {path.relative_to(folder).as_posix() for path in found}


class _Demo:
    """The sample's images, team by team."""

    def __init__(self, writer: LayoutWriter) -> None:
        self.writer = writer
        self.core = self._layer("ADD file:{} in /", _standard_library(_CORE))
        self.more = self._layer("RUN /bin/sh -c make install # buildkit", _standard_library(_MORE))

    def build(self) -> None:
        """Write everything."""
        self._bases()
        api = self._api()
        self._worker()
        self._notebook()
        self._wasteful()
        self._built_twice()
        self._careless()
        self._two_platforms()
        self._sbom(api)

    def _bases(self) -> None:
        patch = self._layer("RUN /bin/sh -c apt-get upgrade -y # buildkit", {"etc/os-release": b"VERSION=12.1\n"})
        self.old_base: list[Layer | str] = [self.core, self.more, _SETUP]
        self.new_base: list[Layer | str] = [self.core, self.more, patch, _SETUP]
        old = self._image(self.old_base, _days_ago(420), _labels("base/python", "3.11"))
        new = self._image(self.new_base, _days_ago(75), _labels("base/python", "3.12"))
        self._tag("base/python", old, "3.11")
        self._tag("base/python", new, "3.12", "latest")

    def _api(self) -> Descriptor:
        packages = self._layer("RUN /bin/sh -c pip install requests # buildkit", _packages("requests", "urllib3"))
        typed = self._layer("RUN /bin/sh -c pip install pydantic # buildkit", _packages("pydantic", "jinja2"))
        run: list[Layer | str] = ["EXPOSE map[8080/tcp:{}]", 'CMD ["python" "-m" "api"]']
        versions = [
            ("1.0", [*self.old_base, packages], _days_ago(400)),
            ("1.1", [*self.old_base, packages, typed], _days_ago(210)),
            ("2.0", [*self.new_base, packages, typed], _days_ago(21)),
        ]
        for version, below, created in versions:
            image = self._image([*below, self._source("api", version), *run], created, _labels("team/api", version))
            self._tag("team/api", image, version)
        self._tag("team/api", image, "latest")
        # The tag is pushed again: the older manifest is untagged, and its layers are still needed.
        self.writer.keep(self._image([*self.old_base, packages, self._source("api", "0.9")], _days_ago(405), {}))
        return image

    def _worker(self) -> None:
        packages = self._layer("RUN /bin/sh -c pip install rich tqdm # buildkit", _packages("rich", "tqdm"))
        for version, created in [("1.0", _days_ago(330)), ("1.1", _days_ago(120))]:
            layers = [*self.old_base, packages, self._source("worker", version)]
            self._tag("team/worker", self._image(layers, created, _labels("team/worker", version)), version)

    def _notebook(self) -> None:
        big = self._layer("RUN /bin/sh -c pip install numpy # buildkit", _packages("numpy", suffixes=(".py", ".pyi")))
        image = self._image([*self.new_base, big], _days_ago(9), _labels("data/notebook", "2025.11"))
        self._tag("data/notebook", image, "2025.11")

    def _wasteful(self) -> None:
        data = {f"opt/data/{name}": content for name, content in _standard_library(("pydoc_data", "idlelib")).items()}
        layers: list[Layer | str] = [
            *self.old_base,
            self._layer("COPY dir:{} in /opt/data", data),
            self._layer("RUN /bin/sh -c chmod -R a+rX /opt/data # buildkit", data, mode=0o755),
            self._layer("RUN /bin/sh -c rm -rf /opt/data # buildkit", {"opt/.wh.data": b""}),
        ]
        self._tag("team/importer", self._image(layers, _days_ago(260), _labels("team/importer", "1")), "1")

    def _built_twice(self) -> None:
        files = _packages("humanize")
        for tag, created, mtime in [
            ("build-1", _days_ago(31), 1_751_331_600),
            ("build-2", _days_ago(30), 1_751_418_000),
        ]:
            twin = self._layer("RUN /bin/sh -c pip install humanize # buildkit", files, mtime=mtime)
            image = self._image([*self.new_base, twin], created, _labels("team/nightly", tag))
            self._tag("team/nightly", image, tag)

    def _careless(self) -> None:
        secrets = {"srv/shop/.env": _env_file(), "srv/shop/deploy.pem": _private_key()}
        helper = {"usr/local/bin/as-root": b'#!/bin/sh\nexec "$@"\n'}
        layers: list[Layer | str] = [
            *self.new_base,
            self._layer("COPY dir:{} in /srv/shop", {**_packages("platformdirs", to="srv/shop"), **secrets}),
            self._layer("RUN /bin/sh -c chmod u+s /usr/local/bin/as-root # buildkit", helper, mode=0o4755),
            self._layer("RUN /bin/sh -c rm /srv/shop/deploy.pem # buildkit", {"srv/shop/.wh.deploy.pem": b""}),
        ]
        self._tag("team/shop", self._image(layers, _days_ago(45), _labels("team/shop", "3")), "3")

    def _two_platforms(self) -> None:
        shared = self._layer("COPY dir:{} in /srv", _packages("click"))
        children = []
        for platform in (
            Platform(os="linux", architecture="amd64"),
            Platform(os="linux", architecture="arm64", variant="v8"),
        ):
            machine = self._layer("COPY file:{} in /srv/bin", {"srv/bin/cli": f"#!/bin/{platform}\n".encode() * 4000})
            children.append(self._image([shared, machine, 'ENTRYPOINT ["/srv/bin/cli"]'], _days_ago(60), {}, platform))
        statement = one_line({"predicateType": "https://slsa.dev/provenance/v1", "predicate": {}}).encode()
        about = {REFERENCE_TYPE: ATTESTATION_MANIFEST, REFERENCE_DIGEST: children[0].digest}
        provenance = self.writer.artifact(
            statement, "application/vnd.in-toto+json", artifact_type="application/vnd.in-toto+json"
        )
        unknown = Platform(os="unknown", architecture="unknown")
        children.append(provenance.model_copy(update={"annotations": about, "platform": unknown}))
        self._tag("team/cli", self.writer.index(children), "1.0", "latest")

    def _sbom(self, subject: Descriptor) -> None:
        packages = [{"name": d.name, "versionInfo": d.version} for d in importlib.metadata.distributions()]
        names = sorted(packages, key=lambda package: str(package["name"]))
        content = one_line({"spdxVersion": "SPDX-2.3", "packages": names}).encode()
        self.writer.keep(
            self.writer.artifact(
                content, "application/spdx+json", artifact_type="application/spdx+json", subject=subject
            )
        )

    def _layer(self, created_by: str, files: Mapping[str, bytes], *, mtime: int = 0, mode: int = 0o644) -> Layer:
        tar = tar_of(files, mtime=mtime, mode=mode)
        layer = self.writer.layer(tar, created_by)
        return layer._replace(created_by=created_by.replace("{}", layer.diff_id.encoded))

    def _source(self, name: str, version: str) -> Layer:
        files = {
            f"srv/{name}/__init__.py": f"__version__ = {version!r}\n".encode(),
            **_packages("platformdirs", to=f"srv/{name}"),
        }
        return self._layer("COPY dir:{} in /srv", files)

    def _image(
        self,
        layers: list[Layer | str],
        created: str,
        labels: Mapping[str, str],
        platform: Platform | None = None,
    ) -> Descriptor:
        on = platform or Platform(os="linux", architecture="amd64")
        return self.writer.image(
            layers,
            created=created,
            os=on.os,
            architecture=on.architecture,
            variant=on.variant,
            config={"Labels": dict(labels)},
        )

    def _tag(self, repository: str, manifest: Descriptor, *tags: str) -> None:
        for tag in tags:
            self.writer.tag(f"{repository}:{tag}", manifest)


def _days_ago(days: int) -> str:
    """A time so many days before today, so that the sample's stale images stay stale; the same all day."""
    return f"{datetime.now(UTC).date() - timedelta(days=days)}T09:30:00Z"


def _labels(name: str, version: str) -> dict[str, str]:
    return {TITLE: name, VERSION: version}


def _env_file() -> bytes:
    """A settings file with a made-up password, as no image should have one."""
    password = hashlib.sha256(b"the sample's password, of no account").hexdigest()[:24]
    return f"DATABASE_HOST=db.internal\nDATABASE_PASSWORD={password}\n".encode()


def _private_key() -> bytes:
    """An Ed25519 private key (RFC 8410, PKCS #8) made from a constant: no secret, but it looks like one."""
    seed = hashlib.sha256(b"the sample's key, that opens nothing").digest()
    body = base64.b64encode(bytes.fromhex("302e020100300506032b657004220420") + seed).decode()
    return f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n".encode()


def _standard_library(names: Iterable[str]) -> Files:
    """Files of the standard library, at the paths of an image."""
    root = Path(sysconfig.get_path("stdlib"))
    paths = [path for name in names for path in _files_under(root / name)]
    return {f"usr/local/lib/python3/{path.relative_to(root).as_posix()}": path.read_bytes() for path in paths}


def _files_under(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(found for found in path.rglob("*") if found.is_file() and "__pycache__" not in found.parts)


def _packages(*names: str, to: str = _ON_TEAMS, suffixes: tuple[str, ...] = ()) -> Files:
    """Files of installed packages, at the paths of an image."""
    wanted: Callable[[str], bool] = (lambda name: name.endswith(suffixes)) if suffixes else (lambda _: True)
    files: Files = {}
    for name in names:
        for entry in importlib.metadata.files(name) or ():
            path = Path(str(entry.locate()))
            if ".." not in entry.parts and "__pycache__" not in entry.parts and wanted(entry.name) and path.is_file():
                files[f"{to}/{entry.as_posix()}"] = path.read_bytes()
    return files
