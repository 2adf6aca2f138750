from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regscope.errors import InvalidReference
from regscope.spec.digest import Digest
from regscope.spec.reference import Reference, check_repository, check_tag, split_image
from tests.lab.documents import DIGEST

SHA512 = "sha512:" + "c" * 128


@pytest.mark.parametrize(
    ("text", "host", "repository", "tag", "digest"),
    [
        ("ubuntu", "docker.io", "library/ubuntu", "latest", None),
        ("ubuntu:24.04", "docker.io", "library/ubuntu", "24.04", None),
        ("team/app", "docker.io", "team/app", "latest", None),
        ("docker.io/ubuntu", "docker.io", "library/ubuntu", "latest", None),
        ("docker.io/library/ubuntu", "docker.io", "library/ubuntu", "latest", None),
        ("index.docker.io/ubuntu", "docker.io", "library/ubuntu", "latest", None),
        ("registry-1.docker.io/team/app:1", "docker.io", "team/app", "1", None),
        ("registry.hub.docker.com/team/app", "docker.io", "team/app", "latest", None),
        ("registry.example.com/app", "registry.example.com", "app", "latest", None),
        ("registry.example.com:5000/a/b/c:v1", "registry.example.com:5000", "a/b/c", "v1", None),
        ("localhost/app", "localhost", "app", "latest", None),
        ("localhost:5000/app", "localhost:5000", "app", "latest", None),
        ("LOCALHOST/app", "LOCALHOST", "app", "latest", None),
        ("10.0.0.1:443/app", "10.0.0.1:443", "app", "latest", None),
        ("[::1]/app", "[::1]", "app", "latest", None),
        ("[::1]:5000/app:1", "[::1]:5000", "app", "1", None),
        ("[2001:db8::ff00:42:8329]:65535/app", "[2001:db8::ff00:42:8329]:65535", "app", "latest", None),
        ("[::ffff:192.0.2.1]/app", "[::ffff:192.0.2.1]", "app", "latest", None),
        (f"ubuntu@{DIGEST}", "docker.io", "library/ubuntu", None, DIGEST),
        (f"team/app:1.0@{SHA512}", "docker.io", "team/app", "1.0", SHA512),
        ("a--b/c__d/e.f_g", "docker.io", "a--b/c__d/e.f_g", "latest", None),
        ("app:_X.y-Z", "docker.io", "library/app", "_X.y-Z", None),
        # What has no slash is a name and no host, as docker has it.
        ("localhost", "docker.io", "library/localhost", "latest", None),
        ("example.com:5000", "docker.io", "library/example.com", "5000", None),
    ],
)
def test_a_reference_is_read_as_docker_reads_it(
    text: str, host: str, repository: str, tag: str | None, digest: str | None
) -> None:
    assert Reference.parse(text) == Reference(host, repository, tag, Digest(digest) if digest else None)


@pytest.mark.parametrize(
    ("text", "position", "complaint"),
    [
        ("", 0, "the end"),
        ("/", 0, "'/'"),
        ("/app", 0, "'/'"),
        ("app/", 4, "the end"),
        ("a//b", 2, "'/'"),
        ("Ubuntu", 0, "'U'"),
        ("team/App", 5, "'A'"),
        ("team/aPp", 6, "'P'"),
        ("team/app-", 8, "'-'"),
        ("team/-app", 5, "'-'"),
        ("team/a..b", 6, "'.'"),
        ("team/a___b", 6, "'_'"),
        ("team/ä", 5, "'ä'"),
        (" app", 0, "' '"),
        ("app ", 3, "' '"),
        ("app\n", 3, r"'\n'"),
        ("../../etc/passwd", 0, "host name"),
        ("registry.example.com/", 21, "the end"),
        ("registry.example.com/../x", 21, "'.'"),
        ("app:", 4, "the end"),
        ("app:-1", 4, "'-'"),
        ("app:1:2", 5, "':'"),
        ("app:1\n", 5, r"'\n'"),
        ("example.com/app:a/b", 17, "'/'"),
        ("app:" + "x" * 129, 4 + 128, "129th"),
        ("https://example.com/app", 5, "host name"),
        ("user@example.com/app", 4, "host name"),
        ("ho_st.com/app", 2, "host name"),
        ("host-.com/app", 4, "host name"),
        ("a..com/app", 1, "host name"),
        (".com/app", 0, "host name"),
        ("example.com:/app", 11, "host name"),
        ("example.com:x/app", 11, "host name"),
        ("example.com:٣/app", 11, "host name"),
        ("example.com:1:2/app", 13, "host name"),
        ("example.com:65536/app", 12, "port above 65535"),
        ("example.com:123456/app", 17, "host name"),
        ("::1/app", 0, "host name"),
        ("[::1/app", 4, "host name"),
        ("[zz]:5000/app", 1, "host name"),
        ("[fe80::1%eth0]/app", 8, "host name"),
        ("[::1]x/app", 5, "host name"),
        ("[:]/app", 1, "IPv6"),
        ("[1:2:3:4:5:6:7:8:9]:5000/app", 1, "IPv6"),
        ("app@", 4, "not a digest"),
        ("app:1@", 6, "not a digest"),
        ("app@md5:" + "a" * 32, 4, "unknown algorithm"),
        ("app@sha256:" + "a" * 63, 74, "not 63"),
        ("app@sha256:" + "a" * 63 + "Z", 74, "only the digits"),
        (f"example.com/app:1@{DIGEST}x", 18 + 71, "not 65"),
        (f"app@{DIGEST}@{DIGEST}", 4 + 71, "not of the form"),
        ("example.com/" + "a" * 256, 12 + 255, "255 characters"),
        ("a" * 248, 247, "255 characters"),  # Docker Hub's library/ counts, too
        ("docker.io/" + "a" * 248, 10 + 247, "255 characters"),
    ],
)
def test_an_error_points_at_the_bad_part(text: str, position: int, complaint: str) -> None:
    with pytest.raises(InvalidReference) as caught:
        Reference.parse(text)
    assert (caught.value.position, caught.value.text) == (position, text)
    assert complaint in caught.value.message.partition("\n")[0]
    assert caught.value.next_step


def test_the_message_draws_a_pointer_under_the_bad_character() -> None:
    with pytest.raises(InvalidReference) as caught:
        Reference.parse("team/aPp")
    assert "\n  team/aPp\n        ^" in str(caught.value)


def test_a_hostile_reference_cannot_reach_the_terminal_through_its_error() -> None:
    with pytest.raises(InvalidReference) as caught:
        Reference.parse("team/\x1b[2J\u202eapp\ud800\r\n")
    shown = str(caught.value)
    assert not any(mark in shown for mark in "\x1b\u202e\r\ud800")
    assert shown.splitlines()[1:3] == ["  team/ [2J app   ", "       ^"]


@pytest.mark.parametrize("text", ["a" * 247, "example.com/" + "a" * 255, "app:" + "x" * 128])
def test_the_longest_allowed_names_and_tags_are_read(text: str) -> None:
    assert Reference.parse(str(Reference.parse(text))) == Reference.parse(text)


COMPONENT = st.from_regex(r"[a-z0-9]{1,6}((\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}", fullmatch=True)
HOST = st.one_of(
    st.sampled_from(["docker.io", "localhost", "localhost:5000", "[::1]", "[fe80::1]:5000", "192.0.2.1:80"]),
    st.from_regex(r"[a-z0-9]{1,5}\.[a-zA-Z]{2,5}(:[0-9]{1,4})?", fullmatch=True),
)
TAG = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,12}", fullmatch=True)


@given(
    HOST,
    st.lists(COMPONENT, min_size=1, max_size=4).map("/".join),
    st.none() | TAG,
    st.none() | st.binary(max_size=4).map(Digest.of),
)
def test_writing_and_reading_a_reference_loses_nothing(
    host: str, repository: str, tag: str | None, digest: Digest | None
) -> None:
    text = f"{host}/{repository}" + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
    reference = Reference.parse(text)
    assert Reference.parse(str(reference)) == reference
    assert reference.repository.removeprefix("library/") == repository.removeprefix("library/")
    assert (reference.host, reference.digest) == (host, digest)
    assert reference.tag == (tag or (None if digest else "latest"))


@given(st.text(max_size=40) | st.text("aA1.:/@[]-_% \n", max_size=30))
def test_any_text_is_either_a_reference_or_refused_with_a_position_in_it(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except InvalidReference as error:
        position = error.position
    else:
        position = 0
        assert Reference.parse(str(reference)) == reference
    assert 0 <= position <= len(text)


def test_the_target_is_the_digest_before_the_tag() -> None:
    assert Reference.parse(f"app:1@{DIGEST}").target == DIGEST
    assert Reference.parse("app:1").target == "1"
    assert Reference("docker.io", "library/app").target == "latest"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("app", ("app", None, None)),
        ("app:1", ("app", "1", None)),
        (f"app@{DIGEST}", ("app", None, DIGEST)),
        (f"app:1@{DIGEST}", ("app", "1", DIGEST)),
        ("localhost:5000/app", ("localhost:5000/app", None, None)),
        ("localhost:5000/app:1", ("localhost:5000/app", "1", None)),
        ("Whatever THEY chose:x", ("Whatever THEY chose", "x", None)),
        ("app:", ("app", None, None)),
        ("", ("", None, None)),
    ],
)
def test_a_layouts_own_names_are_split_unchecked(text: str, parts: tuple[str, str | None, str | None]) -> None:
    assert split_image(text) == parts


def test_a_repository_name_passes_the_check_unchanged() -> None:
    assert check_repository("team/app") == "team/app"
    assert check_repository("a" * 255) == "a" * 255


@pytest.mark.parametrize(
    ("name", "position"), [("", 0), ("../x", 0), ("a/../b", 2), ("a/B", 2), ("a:b", 1), ("a\x00", 1), ("a" * 256, 255)]
)
def test_a_bad_repository_name_is_refused_with_its_position(name: str, position: int) -> None:
    with pytest.raises(InvalidReference) as caught:
        check_repository(name)
    assert caught.value.position == position


@pytest.mark.parametrize(("tag", "position"), [("", 0), ("..", 0), ("a/b", 1), ("a b", 1), ("x" * 129, 128)])
def test_a_bad_tag_is_refused_with_its_position(tag: str, position: int) -> None:
    assert check_tag("v1.0_x-Y") == "v1.0_x-Y"
    with pytest.raises(InvalidReference) as caught:
        check_tag(tag)
    assert caught.value.position == position
