"""Images of real files, of what is installed here, and layers that change them as builds do."""

from __future__ import annotations

import io
import subprocess
import sysconfig
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.lab.corners import FOLDER, LINK, entry, tar

Layers = list[bytes]
SMALL, MANY = 50_000, 300  # bytes of a file, and paths: of more there is nothing more to learn


@cache
def real_images() -> dict[str, Layers]:
    """Images by name, their layers as uncompressed tars."""
    if not Path("/var/lib/dpkg/status").exists():
        pytest.skip("needs a Debian system")
    bases = {
        "packages": of_folder(Path("/"), packaged("base-files", "bash", "passwd", "perl-base", "tzdata"), "gnu"),
        "documents": of_folder(Path("/usr/share"), [f"doc/{name}" for name in documents()], "pax"),
        "python": of_folder(Path("/"), installed("json", "email", "unittest"), "ustar"),
        "wheel": of_wheel(),
    }
    found: dict[str, Layers] = {}
    for name, base in bases.items():
        found[name] = [base]
        for how in (rewritten, cleaned, owned, moved):
            found[f"{name}, {how.__name__}"] = [base, how(base)]
        found[f"{name}, all of it"] = [base, rewritten(base), owned(base), moved(base), cleaned(base), tar()]
    found["all of them"] = [*bases.values(), *(cleaned(base) for base in bases.values())]
    return found


def of_folder(folder: Path, paths: list[str], style: str) -> bytes:
    """What GNU tar makes of these paths, without what is below them."""
    command = ["tar", "-c", f"--format={style}", "--no-recursion", "-C", str(folder), "-T", "-"]
    done = subprocess.run(command, input="\n".join(paths).encode(), check=True, capture_output=True, timeout=60)
    return done.stdout


def packaged(*packages: str) -> list[str]:
    """What Debian packages have installed."""
    listed = subprocess.run(["dpkg", "-L", *packages], check=True, capture_output=True, text=True, timeout=60).stdout
    paths = {Path(line) for line in listed.splitlines() if line.startswith("/") and line != "/."}
    # Its list leads through links, such as /bin; a layer's does not.
    return _small({str(path.parent.resolve() / path.name)[1:] for path in paths}, Path("/"))


def documents() -> list[str]:
    folder = Path("/usr/share/doc")
    top = sorted(path for path in folder.iterdir() if path.name[0] in "abc" and path.is_dir() and not path.is_symlink())
    return _small({str(path.relative_to(folder)) for each in top for path in (each, *each.rglob("*"))}, folder)


def installed(*modules: str) -> list[str]:
    library = Path(sysconfig.get_path("stdlib"))
    paths = [path for module in modules for path in (library / module, *(library / module).rglob("*"))]
    return _small({str(path)[1:] for path in paths}, Path("/"))


def _small(names: set[str], folder: Path) -> list[str]:
    there = [name for name in sorted(names) if (folder / name).is_symlink() or (folder / name).exists()]
    return [name for name in there if (folder / name).lstat().st_size < SMALL][:MANY]


def of_wheel() -> bytes:
    """A wheel as pip would install it: files without headers of their folders."""
    import ensurepip

    folders = (Path(ensurepip.__file__).parent / "_bundled", Path("/usr/share/python-wheels"))  # the second is Debian's
    wheel = next(path for folder in folders for path in folder.glob("pip-*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if archive.getinfo(name).file_size < SMALL][:MANY]
        return tar(*(entry(f"site/{name}", content=archive.read(name)) for name in names))


Change = Callable[[bytes], bytes]


def _files(base: bytes) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(base)) as archive:
        for member in archive:
            if member.isreg():
                content = archive.extractfile(member)
                assert content is not None
                yield member, content.read()


def rewritten(base: bytes) -> bytes:
    """Every seventh file has more in it."""
    files = list(_files(base))[::7]
    return tar(*(entry(member.name, content=content + b"more\n", mode=member.mode) for member, content in files))


def owned(base: bytes) -> bytes:
    """As after `chown -R`, of every fifth file; some get one more name."""
    files = list(_files(base))[::5]
    again = [entry(member.name, content=content, uid=1000, mode=member.mode) for member, content in files]
    return tar(*again, *(entry(f"{member.name}.link", LINK, linkname=member.name) for member, _ in files[::3]))


def moved(base: bytes) -> bytes:
    """Every sixth file stands elsewhere."""
    files = list(_files(base))[::6]
    there = [entry("moved", FOLDER, mode=0o755)]
    there += [entry(f"moved/{number}", content=content) for number, (_, content) in enumerate(files)]
    return tar(*there, *(entry(_whiteout(member.name), content=b"") for member, _ in files))


def cleaned(base: bytes) -> bytes:
    """Every fourth file is deleted, a folder, and all in another."""
    files = [member.name for member, _ in _files(base)]
    folders = sorted({name.rpartition("/")[0] for name in files}, key=len, reverse=True)[:2]
    gone = [name for name in files[::4] if not name.startswith(tuple(f"{folder}/" for folder in folders))]
    marks = [_whiteout(name) for name in gone]
    marks += [_whiteout(folders[0]), f"{folders[1]}/.wh..wh..opq"] if len(folders) > 1 else []
    return tar(*(entry(mark, content=b"") for mark in marks))


def _whiteout(name: str) -> str:
    folder, slash, base = name.rpartition("/")
    return f"{folder}{slash}.wh.{base}"
