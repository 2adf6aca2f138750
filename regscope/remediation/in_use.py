"""What a cluster runs: references and digests out of a list, a file, or what kubectl prints."""

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
_LARGEST = 256 * 2**20  # bytes: what kubectl prints about some 20,000 pods
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # scalars stay text: 1.10 is no number
_BEGINS_YAML = re.compile(r"---|%YAML|-(?: |$)|[\w\"'./-]+\s*:(?:\s|$)")
_BLANKS = re.compile(r"\s*")
_LEAVES = (str, int, float, type(None))
_NULLS = ("", "null", "~")


class NameInUse(str):
    """A name that `images_in_use` gave before, such as one of a saved plan: no host is looked for in it."""

    __slots__ = ()


def images_in_use(source: Any) -> tuple[str, ...]:
    """References and digests of images that run somewhere.

    Args:
        source: one of

            - a list of references: `registry.example.com/team/app:1.0`, `team/app@sha256:…`, `sha256:…`
            - the path of a file with one in each line, where `#` begins a comment, or with a JSON or YAML list of them
            - Kubernetes objects, parsed or as the path of JSON or YAML: pods as `kubectl get pods -A -o json` prints
              them, whatever has a template of pods (Deployment, CronJob, …), Lists within Lists, several documents in
              one file. Every `image`, `imageID` and image volume in them counts: of a pod both the image that it asks
              for and the digest that it runs.

    Returns:
        `repository:tag`, `repository@digest` and `digest`, each once. The host is left out: a mirror or a proxy has
        another name for the same registry, and to keep too much is the smaller mistake. A name that is no reference is
        given as it was written, see `is_image`.

    Raises:
        InvalidInput: the file can't be read, it names no image, or none of its names is a reference. Nothing would be
            protected then, which is hardly what was meant.
    """
    if isinstance(source, str | Path):
        path = Path(source).expanduser()
        documents, where = _documents(path), str(path)
    elif isinstance(source, Iterable) and not isinstance(source, bytes):
        documents, where = [source if isinstance(source, Mapping) else list(source)], "the list"
    else:
        raise InvalidInput(f"{no_name(source)}: no list of images in use", next_step="Give references, or a file.")
    written = list(dict.fromkeys(_named(documents)))
    if not written:
        raise InvalidInput(
            f"{where} names no image in use: {_what_is_there(documents)}",
            next_step="`kubectl get pods -A -o json` prints what is wanted; leave in_use out if nothing runs.",
        )
    names = tuple(dict.fromkeys(_name(text) for text in written))
    if not any(map(is_image, names)):
        raise InvalidInput(
            f"an image in use that is none: {plain(names[0], 200)!r}",
            next_step="A reference looks like registry.example.com/team/app:1.0 or team/app@sha256:….",
        )
    return names


def is_image(name: str) -> bool:
    """Whether a name of `images_in_use` is one, and not text that could not be understood."""
    return bool(_DIGEST.fullmatch(name)) or _parsed(f"registry.invalid/{name}") is not None


def _name(written: str) -> str:
    return str(written) if isinstance(written, NameInUse) else _without_host(written) or written


def _without_host(written: str) -> str | None:
    """A reference without its host and the runtime that named it; None if it is no reference."""
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
    """What a file holds: documents of JSON or YAML, or one list of its lines."""
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
        text = raw.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"the images in use can't be read from {path}: {error}",
            next_step="Give the path of a list, or of what `kubectl get pods -A -o json` printed.",
        ) from None
    if len(raw) > _LARGEST:
        raise InvalidInput(f"{path} is larger than {_LARGEST:,} bytes", next_step="Write only the images into it.")
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
    """Documents one after the other; what begins like JSON, and is none, may be YAML."""
    decoder, at, found = json.JSONDecoder(), 0, []
    try:
        while (at := _BLANKS.match(text, at).end()) < len(text):  # type: ignore[union-attr]
            one, at = decoder.raw_decode(text, at)
            found.append(one)
    except ValueError:
        found = list(yaml.load_all(text, Loader=_LOADER))
    yield from found


def _words(line: str) -> Sequence[str]:
    """A line is a reference, or several as `kubectl get pods -o jsonpath=…` prints them."""
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
                raise InvalidInput(no_name(one), next_step="Write one flat list of references, each of them in quotes.")


def _of_object(found: Mapping[Any, Any]) -> Iterator[str]:
    """The images that are named anywhere in an object, in order; what YAML aliases repeat is looked at once."""
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
    """Of a container, its status (`image_id` in the Python client's words) or an image volume."""
    for key in ("image", "imageID", "image_id"):
        named = found.get(key)
        if isinstance(named, Mapping):
            named = named.get("reference")
        if isinstance(named, str) and named.strip() not in _NULLS:
            yield named


def _what_is_there(documents: Sequence[Any]) -> str:
    """In words, of documents in which no image is named."""
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
