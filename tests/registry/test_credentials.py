"""Logins never show, and each repository gets the one that fits it."""

from __future__ import annotations

import base64
import pickle

import pytest

from regscope.registry.credentials import (
    Credentials,
    IdentityToken,
    Keychain,
    Login,
    RegistryToken,
    SavedLogins,
    is_bearer_token,
    login_from,
)

ANN, BOB, CAT = Credentials("ann", "hunter2"), Credentials("bob", "hunter2"), Credentials("cat", "hunter2")


@pytest.mark.parametrize("login", [ANN, IdentityToken("hunter2"), RegistryToken("hunter2")])
def test_a_login_does_not_show(login: Login) -> None:
    keychain = Keychain.of(login)
    shown = f"{login!r}{login}{keychain!r}{SavedLogins({'': login})!r}"
    assert "hunter2" not in shown
    assert "ann" not in shown
    assert pickle.loads(pickle.dumps(keychain)).login() == login


def test_a_password_becomes_a_header() -> None:
    assert ANN.basic == "Basic " + base64.b64encode(b"ann:hunter2").decode()


def test_a_name_of_token_stands_for_an_identity_token() -> None:
    assert login_from("<token>", "long") == IdentityToken("long")
    assert login_from("ann", "hunter2") == ANN


@pytest.mark.parametrize(
    ("repository", "login"),
    [("", ANN), ("app", ANN), ("team", BOB), ("team/app", CAT), ("team/app/x", CAT), ("team/apple", BOB), ("te", ANN)],
)
def test_the_longest_path_that_fits_a_repository_wins(repository: str, login: Credentials) -> None:
    assert SavedLogins({"": ANN, "team": BOB, "team/app": CAT}).login(repository) == login


def test_a_path_says_nothing_about_other_repositories() -> None:
    logins = SavedLogins({"team/app": CAT})
    assert [logins.login(name) for name in ("", "team", "team/application", "app")] == [None] * 4


def test_the_first_place_that_has_a_login_wins() -> None:
    keychain = Keychain([SavedLogins({"team": BOB}), SavedLogins({"": ANN, "team": CAT})])
    assert [keychain.login(name) for name in ("team/app", "other", "")] == [BOB, ANN, ANN]


def test_an_empty_keychain_has_no_login() -> None:
    assert Keychain().login("app") is None
    assert not Keychain.of(None)
    assert Keychain.of(ANN)


@pytest.mark.parametrize("value", ["", "a b", "a\nb", "é", 7, None])
def test_what_no_header_can_carry_is_no_token(value: object) -> None:
    assert not is_bearer_token(value)
    assert is_bearer_token("a.b-c_d~e+f/=")
