"""Challenges are read as servers send them."""

from __future__ import annotations

import contextlib
import time

import pytest

from regscope.errors import AuthFailed
from regscope.registry.challenge import parse_challenges

ASKED = (
    'Bearer realm="https://auth.test/token",service="registry.test",scope="repository:a/b:pull,push registry:catalog:*"'
)


def bearer(header: str) -> dict[str, str]:
    return parse_challenges(header)["bearer"].parameters


def test_an_ordinary_challenge_is_read() -> None:
    assert bearer(ASKED) == {
        "realm": "https://auth.test/token",
        "service": "registry.test",
        "scope": "repository:a/b:pull,push registry:catalog:*",
    }


def test_several_schemes_are_told_apart() -> None:
    found = parse_challenges(f'Negotiate, Basic realm="x y", {ASKED}')
    assert set(found) == {"negotiate", "basic", "bearer"}
    assert found["basic"].parameters == {"realm": "x y"}
    assert found["bearer"].parameters["service"] == "registry.test"


@pytest.mark.parametrize(
    "header",
    [
        'Bearer realm="https://auth.test/t",service=""',
        'bearer REALM="https://auth.test/t", Service=""',
        'Bearer realm="https://auth.test/t" service=""',
        'Bearer realm=https://auth.test/t,service=""',
        'Bearer service="",realm=https://auth.test/t',
        r'Bearer realm="https:\/\/auth.test\/t",service=""',
        'BEARER realm = "https://auth.test/t" , service = ""',
    ],
)
def test_one_challenge_in_many_spellings_is_the_same(header: str) -> None:
    assert bearer(header) == {"realm": "https://auth.test/t", "service": ""}


def test_an_empty_realm_is_empty() -> None:
    assert parse_challenges('Basic realm=""')["basic"].parameters == {"realm": ""}
    assert bearer("Bearer realm=") == {"realm": ""}
    assert bearer("Bearer realm=,service=x") == {"realm": "", "service": "x"}
    assert bearer('Bearer realm="",service="x"') == {"realm": "", "service": "x"}


def test_escapes_in_quotes_are_undone() -> None:
    assert bearer(r'Bearer realm="a \"b\" c\\d"') == {"realm": r'a "b" c\d'}


def test_an_address_within_an_address_stays_whole() -> None:
    assert bearer('Bearer realm="https://a.test/t?next=https://b.test/",service="s"') == {
        "realm": "https://a.test/t?next=https://b.test/",
        "service": "s",
    }


def test_the_last_of_two_challenges_of_one_scheme_counts_whole() -> None:
    assert bearer('Bearer realm="https://a.test",service="a", Bearer realm="https://b.test"') == {
        "realm": "https://b.test"
    }


@pytest.mark.parametrize(
    "header",
    [
        "Negotiate YII=, {}",
        "Negotiate, NTLM, {}",
        "NTLM TlRMTVNTUAAC==, {}",
        "Negotiate YII/+a, {}",
        'Digest realm="a, b", nonce="x=y", qop="auth,auth-int", {}',
        "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=x, {}",
        ", {},,",
        "{}, Negotiate YII=",
        '{} Digest realm="y"',
        "Basic, {}",
    ],
)
def test_a_challenge_is_found_beside_others(header: str) -> None:
    expected = {"realm": "https://auth.test/t?a=1,2", "service": "s"}
    assert bearer(header.format('Bearer realm="https://auth.test/t?a=1,2",service="s"')) == expected
    assert bearer(header.format('bearer Realm="https://auth.test/t?a=1,2", SERVICE=s')) == expected


@pytest.mark.parametrize("header", ["basic realm=NAME", 'BASIC Realm="NAME"', 'Basic realm="NAME", charset="UTF-8"'])
def test_basic_is_found_in_every_spelling(header: str) -> None:
    assert parse_challenges(header)["basic"].parameters["realm"] == "NAME"
    assert parse_challenges(f"Negotiate YII=, {header}")["basic"].parameters["realm"] == "NAME"


@pytest.mark.parametrize("header", ["Bearer", "Bearer abc=="])
def test_a_challenge_without_parameters_has_none(header: str) -> None:
    assert bearer(header) == {}


@pytest.mark.parametrize("header", ["", "a=b,a=b", 'Bearer realm="https://open', "Bearer [x]", "Bearer \x07"])
def test_what_cannot_be_read_is_shown(header: str) -> None:
    with pytest.raises(AuthFailed) as caught:
        parse_challenges(header)
    assert "WWW-Authenticate: " in caught.value.message
    assert caught.value.next_step
    assert "\x07" not in str(caught.value)


@pytest.mark.parametrize("size", [8_193, 1_000_000])
def test_a_huge_header_is_refused_at_once_and_not_repeated(size: int) -> None:
    start = time.process_time()
    with pytest.raises(AuthFailed) as caught:
        parse_challenges("Bearer " + "a=b," * (size // 4))
    assert time.process_time() - start < 0.5
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "filler", ["a", " ", ",", "=", '"', "\\", "a ", "a=b,", 'a="",', "- ", '\\"', "=x", 'a="b" ', "= "]
)
def test_the_largest_header_that_is_read_is_read_quickly(filler: str) -> None:
    header = f"Bearer {filler * 9000}"[:8192]
    start = time.process_time()
    with contextlib.suppress(AuthFailed):
        parse_challenges(header)
    assert time.process_time() - start < 1
