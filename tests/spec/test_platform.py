from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regscope.errors import InvalidPlatform
from regscope.spec.platform import Platform


@pytest.mark.parametrize(
    ("text", "os", "architecture", "variant"),
    [
        ("linux/amd64", "linux", "amd64", None),
        ("linux/arm64/v8", "linux", "arm64", "v8"),
        (" linux/s390x\n", "linux", "s390x", None),
        ("unknown/unknown", "unknown", "unknown", None),
    ],
)
def test_a_platform_is_read_in_its_parts(text: str, os: str, architecture: str, variant: str | None) -> None:
    platform = Platform.parse(text)
    assert (platform.os, platform.architecture, platform.variant) == (os, architecture, variant)
    assert str(platform) == text.strip()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "linux",
        "linux/",
        "/amd64",
        "linux//v8",
        "linux/arm/v7/x",
        "linux /amd64",
        "linux/ amd64",
        "li nux/amd64",
        "linux/\x1b[31m",
        "linux/ämd64",
        "linux/\x00",
        "linux/amd64/\n/",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidPlatform) as caught:
        Platform.parse(text)
    assert repr(text) in caught.value.message
    assert "os/architecture[/variant]" in caught.value.next_step


@given(st.text(max_size=30) | st.text("a1/ ", max_size=12))
def test_any_text_is_either_a_platform_or_refused(text: str) -> None:
    try:
        platform = Platform.parse(text)
    except InvalidPlatform:
        return
    assert str(platform) == text.strip()


@pytest.mark.parametrize(
    ("wanted", "offered", "covers"),
    [
        ("linux/arm64", "linux/arm64", True),
        ("linux/arm64", "linux/arm64/v8", True),
        ("linux/arm64/v8", "linux/arm64/v8", True),
        ("linux/arm64/v8", "linux/arm64", False),
        ("linux/arm/v7", "linux/arm/v6", False),
        ("linux/amd64", "linux/arm64", False),
        ("linux/amd64", "windows/amd64", False),
    ],
)
def test_a_platform_covers_the_variants_that_it_leaves_open(wanted: str, offered: str, covers: bool) -> None:
    assert Platform.parse(wanted).covers(Platform.parse(offered)) is covers


def test_the_dotted_fields_are_read_and_written_under_their_own_names() -> None:
    document = {
        "architecture": "amd64",
        "os": "windows",
        "os.version": "10.0.14393.1066",
        "os.features": ["win32k"],
        "features": ["sse4"],
    }
    platform = Platform.model_validate(document)
    assert (platform.os_version, platform.os_features) == ("10.0.14393.1066", ("win32k",))
    assert platform.model_dump(mode="json", by_alias=True, exclude_none=True) == document
    assert Platform(os="windows", architecture="amd64", os_version="10.0.14393.1066").os_version == "10.0.14393.1066"


def test_an_unknown_field_survives_and_an_empty_platform_reads_as_nothing() -> None:
    assert Platform.model_validate({"os": "linux", "x-vendor": 1}).model_dump()["x-vendor"] == 1
    assert str(Platform()) == ""
