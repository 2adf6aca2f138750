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
        ("Linux/AMD64", "Linux", "AMD64", None),
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
        "unknown",
        "v8",
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
    assert str(platform).removeprefix("linux/") == text.strip().removeprefix("linux/")


@pytest.mark.parametrize("name", ["arm64", "aarch64", "amd64", "x86_64", "armhf", "s390x", "I386"])
def test_an_architecture_alone_is_one_of_linux(name: str) -> None:
    platform = Platform.parse(name)
    assert (platform.os, platform.architecture, platform.variant) == ("linux", name, None)


def test_a_version_of_windows_stands_in_brackets_as_containerd_writes_it() -> None:
    platform = Platform.parse("windows(10.0.17763)/amd64")
    assert (platform.os, platform.os_version, platform.architecture) == ("windows", "10.0.17763", "amd64")
    assert str(platform) == "windows(10.0.17763)/amd64"


@pytest.mark.parametrize(
    ("wanted", "offered", "covers"),
    [
        ("linux/arm64", "linux/arm64", True),
        ("linux/arm64", "linux/arm64/v8", True),
        ("linux/arm64/v8", "linux/arm64/v8", True),
        ("linux/arm64/v8", "linux/arm64", True),
        ("linux/arm", "linux/arm/v5", True),
        ("linux/arm/v7", "linux/arm/v6", False),
        ("linux/arm/v6", "linux/arm/v7", False),
        ("linux/amd64", "linux/arm64", False),
        ("linux/amd64", "windows/amd64", False),
    ],
)
def test_a_platform_covers_the_variants_that_it_leaves_open(wanted: str, offered: str, covers: bool) -> None:
    assert Platform.parse(wanted).covers(Platform.parse(offered)) is covers


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("linux/amd64", "linux/x86_64"),
        ("linux/amd64", "linux/x86-64"),
        ("linux/amd64", "Linux/AMD64"),
        ("linux/amd64", "linux/amd64/v1"),
        ("linux/386", "linux/i386"),
        ("linux/arm64", "linux/aarch64"),
        ("linux/arm64", "linux/arm64/v8"),
        ("linux/arm64", "linux/arm64/8"),
        ("linux/arm64", "linux/arm64/v8.0"),
        ("linux/arm64/v9", "linux/arm64/v9.0"),
        ("linux/arm/v7", "linux/armhf"),
        ("linux/arm/v7", "linux/arm/7"),
        ("linux/arm/v7", "linux/arm"),
        ("linux/arm/v6", "linux/armel"),
        ("darwin/arm64", "macos/arm64"),
    ],
)
def test_names_that_mean_the_same_are_one_platform(one: str, other: str) -> None:
    for wanted, offered in ((one, other), (other, one)):
        assert Platform.parse(wanted).covers(Platform.parse(offered))
        assert Platform.parse(wanted).distance(Platform.parse(offered)) == 0


@pytest.mark.parametrize(
    ("wanted", "in_order", "never"),
    [
        ("linux/arm/v7", ["arm/v7", "arm/v6", "arm/v5"], ["arm/v8", "arm64"]),
        ("linux/arm", ["arm/v7", "arm/v6", "arm/v5", "arm/v8"], ["arm64"]),
        ("linux/armhf", ["arm/v7", "arm/v6", "arm/v5"], ["arm/v8"]),
        ("linux/arm/v8", ["arm/v8", "arm/v7", "arm/v6", "arm/v5"], ["arm64"]),
        ("linux/arm/v5", ["arm/v5"], ["arm/v6", "arm/v4", "arm"]),
        ("linux/amd64/v3", ["amd64/v3", "amd64/v2", "amd64"], ["amd64/v4", "386"]),
        ("linux/amd64", ["amd64", "amd64/v2"], ["386"]),
        ("linux/amd64/v1", ["amd64"], ["amd64/v2"]),
        (
            "linux/arm64/v9",
            ["arm64/v9", "arm64/v8.5", "arm64/v8.1", "arm64/v8"],
            ["arm64/v8.6", "arm64/v9.1", "arm/v8"],
        ),
        ("linux/arm64/v9.1", ["arm64/v9.1", "arm64/v9", "arm64/v8.6", "arm64"], ["arm64/v8.7"]),
        ("linux/arm64/v8.2", ["arm64/v8.2", "arm64/v8.1", "arm64"], ["arm64/v8.3", "arm64/v9"]),
        ("linux/arm64/v8", ["arm64"], ["arm64/v8.1", "arm64/v9"]),
        ("linux/ppc64le/power8", ["ppc64le/power8"], ["ppc64le", "ppc64le/power9"]),
        ("linux/riscv64", ["riscv64", "riscv64/rva22"], ["riscv32"]),
    ],
)
def test_a_platform_runs_what_is_made_for_older_variants_and_likes_its_own_best(
    wanted: str, in_order: list[str], never: list[str]
) -> None:
    platform = Platform.parse(wanted)
    distances = [platform.distance(Platform.parse(f"linux/{name}")) for name in in_order]
    assert None not in distances
    assert distances == sorted(set(distances), key=lambda distance: distance or 0)
    assert [platform.distance(Platform.parse(f"linux/{name}")) for name in never] == [None] * len(never)
    assert platform.distance(Platform.parse(f"windows/{in_order[0]}")) is None


def test_a_version_of_the_system_is_matched_where_one_is_asked_for() -> None:
    offered = Platform(os="windows", architecture="amd64", os_version="10.0.17763.1")
    for asked, fits in (("10.0.17763", True), ("10.0.17763.1", True), ("10.0.1", False), ("10.0.20348", False)):
        assert (Platform.parse(f"windows({asked})/amd64").distance(offered) == 0) is fits
    assert Platform.parse("windows/amd64").distance(offered) == 0
    assert Platform.parse("windows(10.0.17763)/amd64").distance(Platform.parse("windows/amd64")) is None


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
