"""`images_in_use`: the images that a cluster runs, from a list, a file, or the output of kubectl."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from regscope.errors import InvalidInput, InvalidReference
from regscope.remediation.patterns import no_name
from regscope.spec.reference import Reference
from regscope.text import plain

_RUNTIME = re.compile(r"^(?:docker-pullable|docker|containerd|cri-o)://")
_DIGEST = re.compile(r"sha(?:256|512):[0-9a-f]{64,128}")
_LARGEST = 256 * 2**20  # bytes: the output of kubectl for some 20,000 pods
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # scalars stay text: 1.10 is no number
_BEGINS_YAML = re.compile(r"---|%YAML|-(?: |$)|[\w\"'./-]+\s*:(?:\s|$)")
_BLANKS = re.compile(r"\s*")
_LEAVES = (str, int, float, type(None))
_NULLS = ("", "null", "~")


class NameInUse(str):
    """A name that `images_in_use` returned before, as in a saved plan: its first component is not taken for a host."""

    __slots__ = ()


def images_in_use(source: Any) -> tuple[str, ...]:
    """The references and digests of images in use.

    Args:
        source: one of

            - a list of references: `registry.example.com/team/app:1.0`, `team/app@sha256:…`, `sha256:…`
            - the path of a file with one reference in each line, where `#` begins a comment, or with a JSON or YAML
              list of references
            - Kubernetes objects, parsed, or the path of a JSON or YAML file of them: pods, as the output of
              `kubectl get pods -A -o json`; objects with a pod template (Deployment, CronJob, …); nested Lists; several
              documents in one file. Every `image`, `imageID` and image volume in them counts: for a pod both the
              image of its specification and the digest that runs.

    Returns:
        `repository:tag`, `repository@digest` and `digest`, each once. The host is left out: a mirror or a proxy has
        another name for the same registry, and keeping too much is the smaller error. A name that is no reference is
        returned unchanged, see `is_image`.

    Raises:
        InvalidInput: the file cannot be read, it names no image, or none of its names is a reference: nothing would be
            protected.
    """
    if isinstance(source, str | Path):
        path = Path(source).expanduser()
        documents, where = _documents(path), str(path)
    elif isinstance(source, Iterable) and not isinstance(source, bytes):
        documents, where = [source if isinstance(source, Mapping) else list(source)], "the list"
    else:
        raise InvalidInput(f"{no_name(source)}: no list of images in use", next_step="Give references, or their file.")
    written = list(dict.fromkeys(_named(documents)))
    if not written:
        raise InvalidInput(
            f"{where} names no image in use: {_what_is_there(documents)}",
            next_step="Use the output of `kubectl get pods -A -o json`; leave in_use out if no image is in use.",
        )
    names = tuple(dict.fromkeys(_name(text) for text in written))
    if not any(map(is_image, names)):
        raise InvalidInput(
            f"not an image reference: {plain(names[0], 200)!r}",
            next_step="Write references such as registry.example.com/team/app:1.0 or team/app@sha256:….",
        )
    return names


def is_image(name: str) -> bool:
    """Whether a name that `images_in_use` returned is an image reference or a digest."""
    return bool(_DIGEST.fullmatch(name)) or _parsed(f"registry.invalid/{name}") is not None


def _name(written: str) -> str:
    return str(written) if isinstance(written, NameInUse) else _without_host(written) or written


def _without_host(written: str) -> str | None:
    """A reference without its host and the prefix of a container runtime; None if it is no reference."""
    text = _RUNTIME.sub("", written.strip())
    if _DIGEST.fullmatch(text):
        return text
    found = _parsed(text)
    if found is None:
        return None
    return f"{found.repository}@{found.digest}" if found.digest else f"{found.repository}:{found.tag}"


def _parsed(text: str) -> Reference | None:
    try:
        return Reference.parse(text)
    except InvalidReference:
        return None


def _documents(path: Path) -> list[Any]:
    """The content of a file: JSON or YAML documents, or one list of its lines."""
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
        text = raw.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"the images in use cannot be read from {path}: {error}",
            next_step="Give the path of a list, or of the output of `kubectl get pods -A -o json`.",
        ) from None
    if len(raw) > _LARGEST:
        raise InvalidInput(f"{path} is larger than {_LARGEST:,} bytes", next_step="Write only the references into it.")
    lines = [words for line in text.splitlines() if (words := line.split("#")[0].strip())]
    first = lines[0] if lines else ""
    try:
        if first.startswith(("{", "[", '"')):
            return list(_json(text))
        if _BEGINS_YAML.match(first):
            return list(yaml.load_all(text, Loader=_LOADER))
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise InvalidInput(f"{path} can be read neither as JSON nor as YAML: {plain(error, 300)}") from None
    return [None] if lines == ["null"] else [[word for line in lines for word in _words(line)]]


def _json(text: str) -> Iterator[Any]:
    """The JSON documents of a text, one after the other; text that only begins like JSON may be YAML."""
    decoder, at, found = json.JSONDecoder(), 0, []
    try:
        while (at := _BLANKS.match(text, at).end()) < len(text):  # type: ignore[union-attr]
            one, at = decoder.raw_decode(text, at)
            found.append(one)
    except ValueError:
        found = list(yaml.load_all(text, Loader=_LOADER))
    yield from found


def _words(line: str) -> Sequence[str]:
    """The references in a line: one, or several as `kubectl get pods -o jsonpath=…` prints them."""
    words = line.split()
    return words if any(":" in word for word in words) and all(map(_without_host, words)) else [line]


def _named(documents: Iterable[Any]) -> Iterator[str]:
    for document in documents:
        if document is None or (isinstance(document, str) and document in _NULLS):
            continue
        for one in document if isinstance(document, list) else [document]:
            if isinstance(one, Mapping):
                yield from _of_object(one)
            elif isinstance(one, str | Reference):
                yield one if isinstance(one, str) else str(one)
            else:
                raise InvalidInput(no_name(one), next_step="Write one flat list of references in quotes.")


def _of_object(found: Mapping[Any, Any]) -> Iterator[str]:
    """The images named anywhere in an object, in order; a value that YAML aliases repeat is read once."""
    seen: set[int] = set()
    ahead: list[Any] = [found]
    while ahead:
        value = ahead.pop()
        if id(value) in seen or not isinstance(value, dict | list | tuple | Mapping):
            continue
        seen.add(id(value))
        inside = value
        if not isinstance(value, list | tuple):
            yield from _images_of(value)
            inside = list(value.values())
        ahead.extend(each for each in reversed(inside) if not isinstance(each, _LEAVES))


def _images_of(found: Mapping[Any, Any]) -> Iterator[str]:
    """The images of a container, a container status (`image_id` in the Python client) or an image volume."""
    for key in ("image", "imageID", "image_id"):
        named = found.get(key)
        if isinstance(named, Mapping):
            named = named.get("reference")
        if isinstance(named, str) and named.strip() not in _NULLS:
            yield named


def _what_is_there(documents: Sequence[Any]) -> str:
    """A description of documents in which no image is named, for the error."""
    if not any(isinstance(each, Mapping) or each == [] for each in documents):
        return "it is null" if documents and documents != [[]] else "it is empty"
    kinds = Counter(_kinds(documents))
    if not kinds:
        return "it is empty"
    return f"no containers in {', '.join(f'{plain(kind, 60)} ({number:,})' for kind, number in kinds.most_common(5))}"


def _kinds(documents: Sequence[Any]) -> Iterator[str]:
    for each in documents:
        if isinstance(each, list):
            yield from _kinds([one for one in each if isinstance(one, Mapping)])
        elif isinstance(each, Mapping):
            kind = each.get("kind")
            items = each.get("items")
            if isinstance(items, list) and items:
                yield from (str(one.get("kind", "object")) for one in items if isinstance(one, Mapping))
            else:
                of = str(kind) if isinstance(kind, str) else "object"
                yield f"{of} without items" if "items" in each else of
