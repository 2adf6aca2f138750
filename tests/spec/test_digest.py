from __future__ import annotations

import copy
import hashlib
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from regscope.errors import DigestMismatch, InvalidDigest
from regscope.spec.digest import Digest, first_bad, verified

HEX = "0123456789abcdef"
EMPTY_SHA256 = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
EMPTY_SHA512 = (
    "sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
    "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"
)


@pytest.mark.parametrize(
    ("text", "algorithm"), [(EMPTY_SHA256, "sha256"), ("sha384:" + "0" * 96, "sha384"), (EMPTY_SHA512, "sha512")]
)
def test_a_digest_is_its_text_and_knows_its_parts(text: str, algorithm: str) -> None:
    digest = Digest(text)
    assert digest == text
    assert isinstance(digest, str)
    assert digest.algorithm == algorithm
    assert f"{digest.algorithm}:{digest.encoded}" == text


@pytest.mark.parametrize(
    ("text", "complaint", "position"),
    [
        ("", "not of the form", 0),
        ("sha256", "not of the form", 6),
        ("sha256:", "not of the form", 7),
        (":" + "a" * 64, "not of the form", 0),
        ("a" * 64, "not of the form", 0),
        ("sha256: " + "a" * 63, "not of the form", 7),
        ("sha256:" + "a" * 64 + "\n", "not of the form", 71),
        ("sha256:" + "a" * 64 + "/../x", "not of the form", 71),
        ("SHA256:" + "a" * 64, "not of the form", 0),
        ("md5:" + "a" * 32, "unknown algorithm 'md5'", 0),
        ("sha256+b64:" + "a" * 64, "unknown algorithm", 0),
        ("sha256:" + "a" * 63, "sha256 has 64 digits, not 63", 70),
        ("sha256:" + "a" * 65, "sha256 has 64 digits, not 65", 71),
        ("sha512:" + "a" * 64, "sha512 has 128 digits, not 64", 71),
        ("sha256:" + "a" * 10 + "A" + "a" * 53, "only the digits 0-9 and a-f", 17),
        ("sha256:" + "g" * 64, "only the digits 0-9 and a-f", 7),
    ],
)
def test_what_is_no_digest_is_refused_with_the_reason(text: str, complaint: str, position: int) -> None:
    with pytest.raises(InvalidDigest, match=complaint) as caught:
        Digest(text)
    assert caught.value.next_step
    assert first_bad(text) == position


def test_digits_of_other_scripts_are_no_hexadecimal_digits() -> None:
    with pytest.raises(InvalidDigest):
        Digest("sha256:" + "٣" * 64)


def test_a_long_or_hostile_text_is_cut_and_quoted_in_the_message() -> None:
    with pytest.raises(InvalidDigest) as caught:
        Digest("\x1b[31m" + "x" * 10_000)
    assert len(str(caught.value)) < 400
    assert "\x1b" not in str(caught.value)


@given(
    st.text(max_size=80)
    | st.builds("sha{}:{}".format, st.sampled_from([256, 512]), st.text(HEX + "gA", min_size=63, max_size=65))
)
def test_any_text_is_either_a_digest_or_refused(text: str) -> None:
    try:
        digest = Digest(text)
    except InvalidDigest:
        assert first_bad(text) <= len(text)
        return
    assert digest == text
    assert len(digest.encoded) * 4 == int(digest.algorithm.removeprefix("sha"))
    assert set(digest.encoded) <= set(HEX)


@pytest.mark.parametrize(("algorithm", "expected"), [("sha256", EMPTY_SHA256), ("sha512", EMPTY_SHA512)])
def test_the_digest_of_no_bytes_is_the_well_known_one(algorithm: str, expected: str) -> None:
    assert Digest.of(b"", algorithm) == expected


def test_a_digest_is_computed_with_sha256_unless_told_otherwise() -> None:
    assert Digest.of(b"abc") == f"sha256:{hashlib.sha256(b'abc').hexdigest()}"


def test_no_digest_is_made_with_an_algorithm_that_is_broken() -> None:
    with pytest.raises(InvalidDigest):
        Digest.of(b"", "md5")


@given(st.binary(), st.sampled_from(["sha256", "sha384", "sha512"]))
def test_content_verifies_against_its_own_digest_and_comes_back(content: bytes, algorithm: str) -> None:
    digest = Digest.of(content, algorithm)
    assert digest.matches(content)
    assert digest.verify(content) is content
    assert not digest.matches(content + b"x")


def test_a_mismatch_names_the_content_and_both_digests() -> None:
    expected, found = Digest.of(b"right", "sha512"), Digest.of(b"wrong", "sha512")
    with pytest.raises(DigestMismatch) as caught:
        expected.verify(b"wrong", "the config of app:1.0")
    assert "the config of app:1.0" in str(caught.value)
    assert expected in str(caught.value)
    assert found in str(caught.value)


@given(st.lists(st.binary(max_size=20)), st.sampled_from(["sha256", "sha512"]))
def test_a_verified_stream_passes_its_chunks_on_unchanged(chunks: list[bytes], algorithm: str) -> None:
    assert list(verified(chunks, Digest.of(b"".join(chunks), algorithm))) == chunks


def test_a_stream_that_was_tampered_with_fails_after_its_last_chunk() -> None:
    stream = verified([b"a", b"X"], Digest.of(b"ab"), "a layer")
    assert [next(stream), next(stream)] == [b"a", b"X"]
    with pytest.raises(DigestMismatch, match="a layer"):
        next(stream)


@pytest.mark.parametrize("chunks", [[], [b"a"], [b"ab", b"c"]])
def test_a_stream_that_is_cut_short_or_too_long_fails(chunks: list[bytes]) -> None:
    with pytest.raises(DigestMismatch):
        list(verified(chunks, Digest.of(b"ab")))


def test_a_digest_survives_pickling_and_copying_as_a_digest() -> None:
    digest = Digest(EMPTY_SHA512)
    for other in (pickle.loads(pickle.dumps(digest)), copy.deepcopy(digest)):
        assert type(other) is Digest
        assert other == digest
    assert Digest(digest) is digest


def test_a_model_checks_its_digests_and_writes_them_as_plain_text() -> None:
    class Named(BaseModel):
        digest: Digest

    named = Named.model_validate({"digest": EMPTY_SHA256})
    assert type(named.digest) is Digest
    assert named.model_dump_json() == f'{{"digest":"{EMPTY_SHA256}"}}'
    with pytest.raises(ValidationError, match="is not a digest"):
        Named.model_validate({"digest": "sha256:abc"})
    with pytest.raises(ValidationError):
        Named.model_validate({"digest": 5})
