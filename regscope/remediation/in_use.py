"""What a cluster runs: references and digests out of a list, a file, or what kubectl prints."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from regscope.errors import InvalidInput, InvalidReference
from regscope.spec.reference import Reference

_RUNTIME = re.compile(r"^(?:docker-pullable|docker|containerd|cri-o)://")
_DIGEST = re.compile(r"sha(?:256|512):[0-9a-f]{64,128}")
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
_STATUSES = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")


def images_in_use(source: Any) -> tuple[str, ...]:
    """References and digests of images that run somewhere.

    Args:
        source: a list of references (`registry.example.com/team/app:1.0`, `team/app@sha256:…`, `sha256:…`); the path of
            a file with one in each line, where `#` begins a comment; or what `kubectl get pods -A -o json` prints, as a
            path or parsed. Of a pod both the image that it asks for and the digest that it runs count.

    Returns:
        `repository:tag`, `repository@digest` and `digest`, each once. The host is left out: a mirror or a proxy has
        another name for the same registry, and to keep too much is the smaller mistake.

    Raises:
        InvalidInput: the file can't be read, or a line in it names no image: what can't be understood might be in use.
    """
    if isinstance(source, str | Path):
        source = _read(Path(source).expanduser())
    lines = _of_pods(source) if isinstance(source, Mapping) else source
    if not isinstance(lines, Iterable):
        raise InvalidInput(f"{source!r} is no list of images in use", next_step="Give references, or a file of them.")
    return tuple(dict.fromkeys(_plain(str(line)) for line in lines))


def _read(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"the images in use can't be read from {path}: {error}",
            next_step="Give the path of a list, or of what `kubectl get pods -A -o json` printed.",
        ) from None
    if text.lstrip().startswith(("{", "[")):
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidInput(f"{path} begins like JSON, and is none: {error}") from None
    return [words for line in text.splitlines() if (words := line.split("#")[0].strip())]


def _of_pods(found: Mapping[str, Any]) -> Iterator[str]:
    """The images of pods, of a list or one alone; also of what makes pods."""
    if not {"items", "spec"} & set(found):
        raise InvalidInput(
            "the JSON of images in use has no pods", next_step="`kubectl get pods -A -o json` prints what is wanted."
        )
    for pod in found.get("items", [found]):
        spec, status = pod.get("spec") or {}, pod.get("status") or {}
        spec = (spec.get("template") or {}).get("spec") or spec
        for kind in _CONTAINERS:
            yield from (container["image"] for container in spec.get(kind) or () if container.get("image"))
        for kind in _STATUSES:
            yield from (one["imageID"] for one in status.get(kind) or () if one.get("imageID"))


def _plain(line: str) -> str:
    """A reference without its host and the runtime that named it."""
    text = _RUNTIME.sub("", line.strip())
    if _DIGEST.fullmatch(text):
        return text
    try:
        found = Reference.parse(text)
    except InvalidReference as error:
        raise InvalidInput(f"an image in use that is none: {line[:200]!r}", next_step=error.next_step) from None
    return f"{found.repository}@{found.digest}" if found.digest else f"{found.repository}:{found.tag}"
