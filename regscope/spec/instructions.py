"""Build instructions as a person wrote them: the same line in a hundred images reads the same."""

from __future__ import annotations

import re

KEYWORDS = (
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD",
    "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
)  # fmt: skip
OTHER = "other"

_UNIX_SHELL = r"/(?:usr/(?:local/)?)?bin/(?:ba|da|a|z|k)?sh(?: -\w*o \w+| --?[\w-]+){0,8}? -\w*c"
_CMD = r"(?i:(?:[a-z]:\\(?:[\w.-]+\\){0,8})?cmd(?:\.exe)? /s /c)"
# Its SHELL instruction often sets preferences, `$ErrorActionPreference = 'Stop';`, before every command.
_POWERSHELL = (
    r"(?i:(?:[a-z]:\\(?:[\w. -]+\\){0,8})?(?:powershell|pwsh)(?:\.exe)?(?: -[a-z]+(?: \w+)?){0,8}? -command)"
    r"(?: \$\w+ ?= ?'[^']*';)*"
)
_SHELL = re.compile(rf"(?<!\S)(?:{_UNIX_SHELL}|{_CMD}|{_POWERSHELL}) ")
_WRAPPER = re.compile(
    # Build arguments, `|2 A=1 B=2`, all at once: after them comes a shell, or no shell at all.
    r"(?P<arguments>(?:(?:RUN )?\|\d+ (?:\w+=\S* )*)+)"
    rf"|(?:RUN )?{_SHELL.pattern}(?P<nop>(?:#\(nop\) ?)+)?"
)
_BUILDKIT = " # buildkit"
_CONTENT_HASH = re.compile(r"\b(file|dir|multi):[0-9a-f]{64}\b")
_DEBIAN_TIME = re.compile(r"'@\d+'")
_KEYWORD = re.compile(rf"({'|'.join(KEYWORDS)})(?:\s|$)")


def normalised(created_by: str) -> str:
    """An instruction without what differs from build to build: shell wrappers, content hashes, builder's marks.

    `/bin/sh -c #(nop) COPY file:1a2b… in /app` becomes `COPY file:… in /app`; `RUN |1 V=1 /bin/sh -c make # buildkit`
    becomes `RUN make`. What is normalised stays as it is. Values of build arguments are not quoted in the history, so
    all up to the first shell counts as theirs.
    """
    line = _without_mark(" ".join(created_by.split()))
    start, is_run = 0, False
    while wrapper := _WRAPPER.match(line, start):
        start, is_run = wrapper.end(), wrapper.lastgroup != "nop"
        if wrapper.lastgroup == "arguments" and (shell := _SHELL.search(line, start)):
            start = shell.start()
    line = _CONTENT_HASH.sub(r"\1:…", ("RUN " if is_run else "") + line[start:])
    return _DEBIAN_TIME.sub("'@…'", line) if line.startswith("# debian.sh ") else line


def keyword(instruction: str) -> str:
    """The Dockerfile keyword of a normalised instruction; `other` where a tool wrote something else."""
    match = _KEYWORD.match(instruction)
    return match[1] if match else OTHER


def _without_mark(line: str) -> str:
    """`line` without BuildKit's mark at its end."""
    marked = f" {line}"
    end = len(marked)
    while marked.endswith(_BUILDKIT, 0, end):
        end -= len(_BUILDKIT)
    return marked[1:end]
