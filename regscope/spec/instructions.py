"""Build instructions in a normal form, in which the same Dockerfile line is equal in all images."""

from __future__ import annotations

import re

KEYWORDS = (
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD",
    "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
)  # fmt: skip
OTHER = "other"

_UNIX_SHELL = r"/(?:usr/(?:local/)?)?bin/(?:ba|da|a|z|k)?sh(?: -\w*o \w+| --?[\w-]+){0,8}? -\w*c"
_CMD = r"(?i:(?:[a-z]:\\(?:[\w.-]+\\){0,8})?cmd(?:\.exe)? /s /c)"
# A SHELL instruction for it often sets preferences, `$ErrorActionPreference = 'Stop';`, before every command.
_POWERSHELL = (
    r"(?i:(?:[a-z]:\\(?:[\w. -]+\\){0,8})?(?:powershell|pwsh)(?:\.exe)?(?: -[a-z]+(?: \w+)?){0,8}? -command)"
    r"(?: \$\w+ ?= ?'[^']*';)*"
)
_SHELL = re.compile(rf"(?<!\S)(?:{_UNIX_SHELL}|{_CMD}|{_POWERSHELL}) ")
_WRAPPER = re.compile(
    # All build arguments, `|2 A=1 B=2`, in one match: they are followed by a shell, or by none.
    r"(?P<arguments>(?:(?:RUN )?\|\d+ (?:\w+=\S* )*)+)"
    rf"|(?:RUN )?{_SHELL.pattern}(?P<nop>(?:#\(nop\) ?)+)?"
)
_BUILDKIT = " # buildkit"
_CONTENT_HASH = re.compile(r"\b(file|dir|multi):[0-9a-f]{64}\b")
_DEBIAN_TIME = re.compile(r"'@\d+'")
_KEYWORD = re.compile(rf"({'|'.join(KEYWORDS)})(?:\s|$)")


def normalised(created_by: str) -> str:
    """An instruction without the parts that differ between builds: shell wrappers, content hashes, builders' marks.

    `/bin/sh -c #(nop) COPY file:1a2b… in /app` becomes `COPY file:… in /app`; `RUN |1 V=1 /bin/sh -c make # buildkit`
    becomes `RUN make`. A normalised instruction is not changed. The history does not quote the values of build
    arguments, so all text before the first shell is taken for them.
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
    """The Dockerfile keyword of a normalised instruction; `other` where it begins with none."""
    match = _KEYWORD.match(instruction)
    return match[1] if match else OTHER


def _without_mark(line: str) -> str:
    """`line` without BuildKit's mark (` # buildkit`) at its end."""
    marked = f" {line}"
    end = len(marked)
    while marked.endswith(_BUILDKIT, 0, end):
        end -= len(_BUILDKIT)
    return marked[1:end]
