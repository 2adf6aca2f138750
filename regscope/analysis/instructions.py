"""Build instructions as a person wrote them: the same line in a hundred images reads the same."""

from __future__ import annotations

import re

_BUILD_ARGUMENTS = re.compile(r"^\|\d+ (?:\w+=(?:'[^']*'|\"[^\"]*\"|\S*) )*")
_SHELL = re.compile(r"^(?:RUN )?(?:/bin/(?:ba|da|a)?sh -o pipefail -c|/bin/(?:ba|da|a)?sh -e?u?x?c) ")
_NOP = re.compile(r"^/bin/sh -c #\(nop\) +")
_CONTENT_HASH = re.compile(r"\b(file|dir|multi):[0-9a-f]{64}\b")
_BUILDKIT = re.compile(r"\s*# buildkit\s*$")
_KEYWORD = re.compile(
    r"(ADD|ARG|CMD|COPY|ENTRYPOINT|ENV|EXPOSE|FROM|HEALTHCHECK|LABEL|MAINTAINER|ONBUILD|RUN|SHELL|STOPSIGNAL|USER"
    r"|VOLUME|WORKDIR)\b"
)


def normalised(created_by: str) -> str:
    """An instruction without what differs from build to build: shell wrappers, content hashes, builder's marks.

    `/bin/sh -c #(nop) COPY file:1a2b… in /app` becomes `COPY file:… in /app`; `RUN |1 V=1 /bin/sh -c make # buildkit`
    becomes `RUN make`.
    """
    line = _BUILDKIT.sub("", " ".join(created_by.split()))
    if _NOP.match(line):
        return _CONTENT_HASH.sub(r"\1:…", _NOP.sub("", line))
    line = _BUILD_ARGUMENTS.sub("", line.removeprefix("RUN "), count=1) if line.startswith(("RUN |", "|")) else line
    if _SHELL.match(line):
        line = "RUN " + _SHELL.sub("", line)
    return _CONTENT_HASH.sub(r"\1:…", line)


def keyword(instruction: str) -> str:
    """The Dockerfile keyword of a normalised instruction; `other` where a tool wrote something else."""
    match = _KEYWORD.match(instruction)
    return match[1] if match else "other"
