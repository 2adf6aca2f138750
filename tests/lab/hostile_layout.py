"""Images that say what would hurt wherever a registry takes it: labels, annotations, history, paths, types, tags."""

from __future__ import annotations

from pathlib import Path

from regscope.stores.layout_writer import LayoutWriter, tar_of

SCRIPT = "<script>alert('script')</script>"
IMAGE = "\"'><img src=x onerror=alert('image')>"
TERMINAL = "\x1b[31mred\x1b[0m\x07"
BIDI = "abc\u202etxt.exe\u2066"
NUL = "a\x00b"
LONG = "<b>" + "x" * 10_000
EVERYTHING = f"{SCRIPT}{IMAGE}{TERMINAL}{BIDI}{NUL}{{{{7*7}}}}"


def write_hostile_layout(folder: Path) -> None:
    """Write the layout: `hostile:1` and `hostile:2`, and an artifact that is about the first."""
    with LayoutWriter(folder) as writer:
        paths = [f"{said.replace('/', '|')}" for said in (SCRIPT, IMAGE, TERMINAL, BIDI, LONG[:200])]
        base = writer.layer(tar_of({f"d/{path}/{path}": b"content" * 100 for path in paths}), EVERYTHING)
        tops = [
            writer.layer(tar_of({f"d/{paths[0]}/{paths[0]}": bytes([n]) * 500}), f"RUN {LONG} {n}") for n in range(2)
        ]
        labels = {EVERYTHING: EVERYTHING, "long": LONG}
        images = [
            writer.image(
                [base, EVERYTHING, top],
                created="2024-01-01T00:00:00Z",
                config={"Labels": {**labels, "number": str(number)}},
                annotations={SCRIPT: IMAGE},
                architecture="<img/src=x>",
            )
            for number, top in enumerate(tops)
        ]
        for number, image in enumerate(images):
            writer.tag(f"hostile:{number + 1}", image)
        writer.tag(
            "hostile:artifact",
            writer.artifact(
                b"{}", "application/json", artifact_type=SCRIPT, subject=images[0], annotations={SCRIPT: IMAGE}
            ),
        )
