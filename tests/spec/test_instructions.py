"""Build instructions as builders write them, and as a person wrote them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regscope.spec.instructions import KEYWORDS, OTHER, keyword, normalised

HASH = "0123456789abcdef" * 4

CLASSIC = [
    ('/bin/sh -c #(nop)  CMD ["bash"]', 'CMD ["bash"]'),
    (f"/bin/sh -c #(nop) ADD file:{HASH} in / ", "ADD file:… in /"),
    (f"/bin/sh -c #(nop) COPY multi:{HASH} in /app/ ", "COPY multi:… in /app/"),
    (f"/bin/sh -c #(nop) COPY dir:{HASH} in /srv ", "COPY dir:… in /srv"),
    ("/bin/sh -c #(nop) WORKDIR /app", "WORKDIR /app"),
    ("/bin/sh -c #(nop)  ENV A=b", "ENV A=b"),
    ("/bin/sh -c apt-get update", "RUN apt-get update"),
    ("|1 VERSION=1.0 /bin/sh -c make", "RUN make"),
    ("|2 A=1 B=two words /bin/sh -c make install", "RUN make install"),
]
BUILDKIT = [
    ("RUN /bin/sh -c pip install x # buildkit", "RUN pip install x"),
    ("COPY a b # buildkit", "COPY a b"),
    ("ENV A=b", "ENV A=b"),
    ('CMD ["x"]', 'CMD ["x"]'),
    ("EXPOSE map[8080/tcp:{}]", "EXPOSE map[8080/tcp:{}]"),
    ("RUN |1 V=1 /bin/sh -c make # buildkit", "RUN make"),
    ("RUN |2 A=1 B=two words /bin/sh -c make # buildkit", "RUN make"),
    ("RUN |3 A= B='x y' C=x=y /bin/sh -c make # buildkit", "RUN make"),
    ("RUN |1 FLAGS=-a -b --c=d /bin/bash -o pipefail -c make # buildkit", "RUN make"),
    ("RUN |1 V=1 /bin/sh -c A=2 make # buildkit", "RUN A=2 make"),
    ("RUN |1 V=1 npm ci # buildkit", "RUN npm ci"),
    ("RUN npm ci # buildkit", "RUN npm ci"),
    ("RUN /bin/sh -c <<EOF\n\tset -e\n  make\nEOF # buildkit", "RUN <<EOF set -e make EOF"),
    ("RUN /bin/sh -c make # a comment # buildkit", "RUN make # a comment"),
]
OTHER_SHELLS = [
    ("RUN /bin/bash -o pipefail -c curl x | sh # buildkit", "RUN curl x | sh"),
    ("/bin/bash -o pipefail -c curl x | sh", "RUN curl x | sh"),
    ("/bin/ash -eo pipefail -c #(nop)  USER app", "USER app"),
    ("RUN /bin/bash -euxo pipefail -c make # buildkit", "RUN make"),
    ("RUN /bin/bash -e -o pipefail -c make # buildkit", "RUN make"),
    ("RUN /usr/bin/bash --login -c make # buildkit", "RUN make"),
    ("RUN /bin/bash -lc make # buildkit", "RUN make"),
    ('/bin/sh -c bash -c "source x"', 'RUN bash -c "source x"'),
    ("/bin/sh script.sh -c x", "/bin/sh script.sh -c x"),
]
PODMAN = [
    (f"/bin/sh -c #(nop) COPY file:{HASH} in /app ", "COPY file:… in /app"),
    (
        "/bin/sh -c set -eux; \tapt-get update; \tapt-get install -y x",
        "RUN set -eux; apt-get update; apt-get install -y x",
    ),
    ("|1 A=1 /bin/sh -c dnf -y update", "RUN dnf -y update"),
]
WINDOWS = [
    ('cmd /S /C #(nop)  CMD ["c:\\\\windows\\\\system32\\\\cmd.exe"]', 'CMD ["c:\\\\windows\\\\system32\\\\cmd.exe"]'),
    (f"cmd /S /C #(nop) COPY dir:{HASH} in C:\\app ", "COPY dir:… in C:\\app"),
    ("cmd /S /C mkdir app", "RUN mkdir app"),
    ("RUN cmd /S /C mkdir app # buildkit", "RUN mkdir app"),
    ("C:\\Windows\\System32\\cmd.exe /s /c mkdir app", "RUN mkdir app"),
    ("powershell -Command Get-Item x", "RUN Get-Item x"),
    ("pwsh.exe -NoLogo -ExecutionPolicy Bypass -Command Get-Item x", "RUN Get-Item x"),
    (
        "powershell -Command $ErrorActionPreference = 'Stop'; $ProgressPreference='SilentlyContinue'; Get-Item x",
        "RUN Get-Item x",
    ),
    ("powershell -Command $ErrorActionPreference = 'Stop'; #(nop)  ENV A=b", "ENV A=b"),
    ("RUN |1 A=two words cmd /S /C dir # buildkit", "RUN dir"),
    ("Apply image 10.0.17763.1", "Apply image 10.0.17763.1"),
]
TOOLS = [
    ("RUN apk add --no-cache curl", "RUN apk add --no-cache curl"),
    ("bazel build ...", "bazel build ..."),
    ("ko build ko://example.com/cmd", "ko build ko://example.com/cmd"),
    ("kodata contents, at $KO_DATA_PATH", "kodata contents, at $KO_DATA_PATH"),
    ("jib-maven-plugin:3.2", "jib-maven-plugin:3.2"),
    ("/nix/store/x-docker-layer", "/nix/store/x-docker-layer"),
    (
        "# debian.sh --arch 'amd64' out/ 'bookworm' '@1700000000'",
        "# debian.sh --arch 'amd64' out/ 'bookworm' '@…'",
    ),
]
NOTHING = [("", ""), (" ", ""), (" \n\t ", ""), ("\n\n", ""), ("/bin/sh -c #(nop) ", ""), (" # buildkit", "")]
LINES = [*CLASSIC, *BUILDKIT, *OTHER_SHELLS, *PODMAN, *WINDOWS, *TOOLS, *NOTHING]


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_a_line_reads_as_a_person_wrote_it(line: str, expected: str) -> None:
    assert normalised(line) == expected


PIECES = [
    *("RUN ", "|1 ", "|2 ", "A=1 ", "B=two words ", "/bin/sh -c ", "/bin/bash -o pipefail -c ", "cmd /S /C "),
    *("powershell -Command ", "$A = 'b'; ", "#(nop) ", "COPY ", f"file:{HASH}", " # buildkit", "# debian.sh ", "'@1'"),
    *(" ", "\n", "x", "|", "#", "'", "…"),
]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=60))
def test_what_is_normalised_stays_as_it_is(line: str) -> None:
    once = normalised(line)
    assert normalised(once) == once


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="abc ;&", min_size=1).map(str.strip).filter(bool), st.sampled_from(["", "|1 A=b "]))
def test_a_command_reads_the_same_from_every_builder(command: str, arguments: str) -> None:
    wanted = f"RUN {' '.join(command.split())}"
    assert normalised(f"{arguments}/bin/sh -c {command}") == wanted
    assert normalised(f"RUN {arguments}/bin/sh -c {command} # buildkit") == wanted
    assert normalised(f"RUN {arguments}/bin/bash -o pipefail -c {command} # buildkit") == wanted


MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "x",
            " ",
            "a ",
            "RUN ",
            "|1 ",
            "|1 A=1 ",
            "RUN |1 A=1 ",
            "RUN |1 ",
            "A=1 ",
            "A='",
            "/bin/sh ",
            "/bin/sh -",
            "-o ",
        ),
        *("/bin/sh -c ", "/bin/sh -c #(nop) ", "#(nop) ", "#(nop)", " # buildkit", " # buildkit x", "file:", "file:0"),
        *(
            "cmd /S /C ",
            "C:\\",
            "C:\\a ",
            "powershell ",
            "powershell -a ",
            "powershell -Command ",
            "$A = '",
            "$A = ''; ",
        ),
        *("0", "'@1", "\n", "bin/", "|1 A=1 /bin/sh -c "),
    ],
)
@pytest.mark.parametrize("start", ["", "|1 A="])
def test_a_megabyte_takes_no_more_than_linear_time(start: str, piece: str) -> None:
    line = start + piece * (MEGABYTE // len(piece))
    began = time.process_time()
    keyword(normalised(line))
    assert time.process_time() - began < 5


@pytest.mark.parametrize("word", KEYWORDS)
def test_every_keyword_is_found(word: str) -> None:
    assert keyword(f"{word} x") == keyword(word) == word


@pytest.mark.parametrize(
    "line", ["", "bazel build ...", "RUNNER x", "run x", "CMD.exe /C", "COPY-x", "(no history)", " RUN"]
)
def test_what_is_no_keyword_is_other(line: str) -> None:
    assert keyword(line) == OTHER


def test_who_groups_frames_finds_them_beside_the_analysis() -> None:
    from regscope.analysis import instructions

    assert instructions.normalised("/bin/sh -c make") == "RUN make"
