"""Secrets in files: what is told, what is not, and that none of them gets out. All secrets here are made up."""

from __future__ import annotations

import base64
import random
import re
import string
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regscope.layers.secrets import MOST_BYTES, may_hold_secret, secret_in

DRAW = random.Random(7)


def drawn(length: int, letters: str = string.ascii_letters + string.digits) -> str:
    """Random text, so that no scanner of repositories takes a test for a leak."""
    return "".join(DRAW.choice(letters) for _ in range(length))


KEY = "\n".join(["-----BEGIN {}PRIVATE KEY-----", drawn(64), drawn(64), "-----END {}PRIVATE KEY-----", ""])
AWS = "AKIA" + drawn(16, string.ascii_uppercase + "234567")
GITHUB = "ghp_" + drawn(36)


@pytest.mark.parametrize("kind", ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "])
def test_a_private_key_is_told_encrypted_or_not(kind: str) -> None:
    assert secret_in("root/.ssh/id_rsa", KEY.replace("{}", kind).encode()) == "private key"


def test_keys_that_openssl_and_ssh_keygen_write_are_told_and_their_public_parts_are_not(tmp_path: Path) -> None:
    key, public, encrypted = tmp_path / "key.pem", tmp_path / "public.pem", tmp_path / "encrypted.pem"
    for command in (
        ["openssl", "genpkey", "-algorithm", "ed25519", "-out", key],
        ["openssl", "pkey", "-in", key, "-pubout", "-out", public],
        ["openssl", "genrsa", "-aes128", "-traditional", "-passout", "pass:word", "-out", encrypted, "1024"],
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "id_ed25519"],
    ):
        subprocess.run([str(part) for part in command], check=True, capture_output=True)
    found = {path.name: secret_in(path.name, path.read_bytes()) for path in tmp_path.iterdir()}
    assert found == {
        "key.pem": "private key",
        "encrypted.pem": "private key",
        "id_ed25519": "private key",
        "public.pem": None,
        "id_ed25519.pub": None,
    }


def test_a_key_in_json_with_its_line_breaks_escaped_is_told() -> None:
    content = '{"type": "service_account", "private_key": "' + KEY.replace("{}", "").replace("\n", "\\n") + '"}'
    assert secret_in("app/account.json", content.encode()) == "private key"


@pytest.mark.parametrize(
    "content",
    [
        "-----BEGIN CERTIFICATE-----\n" + drawn(64) + "\n-----END CERTIFICATE-----\n",
        "-----BEGIN PUBLIC KEY-----\n" + drawn(64) + "\n-----END PUBLIC KEY-----\n",
        "if '-----BEGIN PRIVATE KEY-----' in text:\n    return load(text)\n",
        "-----BEGIN RSA PRIVATE KEY-----\n...\n-----END RSA PRIVATE KEY-----\n",
    ],
)
def test_certificates_public_keys_and_programs_that_name_keys_are_none(content: str) -> None:
    assert secret_in("app/some.pem", content.encode()) is None


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (f"key = '{AWS}'", "AWS access key"),
        (f"aws_secret_access_key = {drawn(40)}\n", "AWS access key"),
        (f'AWS_SECRET_ACCESS_KEY: "{drawn(40)}"\n', "AWS access key"),
        (f"git clone https://{GITHUB}@github.com/a/b", "GitHub token"),
        ("github_pat_" + drawn(22) + "_" + drawn(59), "GitHub token"),
        ("glpat-" + drawn(20), "GitLab token"),
        ("xoxb-" + drawn(12, "13579") + "-" + drawn(12, "24680") + "-" + drawn(24), "Slack token"),
        ("NPM=npm_" + drawn(36), "npm token"),
        ("pypi-AgEIcHlwaS5vcmc" + drawn(120), "PyPI token"),
        ("AIza" + drawn(35), "Google API key"),
        ("stripe.api_key = 'sk_live_" + drawn(24) + "'", "Stripe key"),
    ],
)
def test_tokens_are_told_by_their_form(content: str, kind: str) -> None:
    assert secret_in("app/settings.py", content.encode()) == kind
    assert secret_in("root/.bash_history", content.encode()) == kind


@pytest.mark.parametrize(
    "content",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "AKIAAAAAAAAAAAAAAAAA",
        f"{AWS}{drawn(20)}",
        f"{drawn(20)}{AWS}",
        "ghp_" + "x" * 36,
        "ghp_0123456789abcdefghijklmnopqrstuvwxyz",
        "sk_test_" + drawn(24),
        "npm_config_registry=https://registry.npmjs.org",
        "glpat-<your token>",
    ],
)
def test_placeholders_and_parts_of_longer_words_are_none(content: str) -> None:
    assert secret_in("app/settings.py", content.encode()) is None


@pytest.mark.parametrize(
    ("path", "content", "kind"),
    [
        ("root/.npmrc", f"//registry.npmjs.org/:_authToken={drawn(36)}\n", "npm token"),
        ("root/.npmrc", "//registry.npmjs.org/:_authToken=${NPM_TOKEN}\n", None),
        ("root/.npmrc", "registry=https://registry.npmjs.org/\n", None),
        ("root/.pypirc", f"[pypi]\nusername = me\npassword = {drawn(12)}\n", "PyPI token"),
        ("root/.pypirc", "[pypi]\nusername = me\n", None),
        ("root/.netrc", f"machine example.org login me password {drawn(12)}\n", "netrc"),
        ("root/.netrc", "machine example.org\nlogin me\n", None),
        ("root/.git-credentials", f"https://me:{drawn(12)}@example.org\n", "git credentials"),
        ("app/.git/config", f"[remote]\n  url = https://me:{drawn(12)}@example.org/a.git\n", "git credentials"),
        ("app/.git/config", "[remote]\n  url = git@example.org:a/b.git\n", None),
        ("root/.docker/config.json", f'{{"auths": {{"a": {{"auth": "{drawn(24)}"}}}}}}', "docker login"),
        ("root/.docker/config.json", '{"auths": {"a": {}}, "credsStore": "pass"}', None),
        ("app/config.json", f'{{"auth": "{drawn(24)}"}}', None),
        ("root/.aws/credentials", f"[default]\naws_secret_access_key={drawn(40)}\n", "AWS access key"),
        ("app/prod.tfvars", f'db_password = "{drawn(12)}"\n', "Terraform variables"),
        ("app/prod.tfvars", 'region = "eu-west-1"\n', None),
        ("app/store.p12", "\0\1\2", "key store"),
        ("app/key.ppk", "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n" + drawn(64), "private key"),
    ],
)
def test_files_with_credentials_are_known_by_name_and_told_by_content(
    path: str, content: str, kind: str | None
) -> None:
    assert may_hold_secret(path, len(content))
    assert secret_in(path, content.encode()) == kind


@pytest.mark.parametrize("name", [".env", ".env.production", "prod.env", ".envrc"])
def test_an_environment_file_is_one_where_it_sets_a_secret(name: str) -> None:
    assert secret_in(f"app/{name}", f"# a\nDEBUG=1\nexport DB_PASSWORD='{drawn(10)}'\n".encode()) == "environment file"
    assert secret_in(f"app/{name}", f"SECRET_KEY_BASE={drawn(30)}\r\n".encode()) == "environment file"
    assert secret_in(f"app/{name}", b"MYSQL_ROOT_PASSWORD=root\n") == "environment file"


@pytest.mark.parametrize(
    "line",
    [
        "DEBUG=true",
        "DB_PASSWORD=",
        "DB_PASSWORD=changeme",
        "DB_PASSWORD=<password>",
        "DB_PASSWORD=${PASSWORD}",
        "DB_PASSWORD=your-password",
        "DB_PASSWORD=xxxxxxxx",
        "DB_PASSWORD_FILE=/run/secrets/db",
        "API_KEY=/run/secrets/key",
        "STRIPE_PUBLISHABLE_KEY=pk_live_123",
        "TOKEN_TTL=3600",
        "#DB_PASSWORD=",
    ],
)
def test_an_environment_file_without_a_secret_is_none(line: str) -> None:
    assert secret_in("app/.env", f"NODE_ENV=production\n{line}\n".encode()) is None


def test_an_example_of_an_environment_file_is_none() -> None:
    assert secret_in("app/.env.example", f"DB_PASSWORD={drawn(12)}\n".encode()) is None


@pytest.mark.parametrize(
    "path",
    [
        "app/settings.py", "srv/config.yaml", "Dockerfile", "app/.env", "usr/src/app/index.js", "etc/ssl/private/a.key",
        "usr/lib/somewhere/.env", "var/lib/service/server.key", "home/me/id_rsa", "usr/local/bin/start.sh", "opt/a/run",
    ],
)  # fmt: skip
def test_names_that_tell_and_texts_of_ones_own_are_worth_a_look(path: str) -> None:
    assert may_hold_secret(path, 100)
    assert may_hold_secret(path, MOST_BYTES)
    assert not may_hold_secret(path, MOST_BYTES + 1)
    assert not may_hold_secret(path, 0)


@pytest.mark.parametrize(
    "path",
    [
        "usr/lib/python3/dist-packages/a/settings.py", "usr/bin/env", "lib/x86_64-linux-gnu/libc.so.6",
        "var/lib/dpkg/status",
        "app/node_modules/a/config.json", "usr/share/doc/a/examples/server.key", "usr/share/terminfo/p/p12",
        "usr/local/lib/python3.12/test/certdata/keycert.pem", "opt/venv/lib/python3.12/site-packages/a/test/test.key",
        "usr/local/go/src/crypto/tls/testdata/example-key.pem", "root/go/pkg/mod/a@v1/server.key", "app/logo.png",
        "opt/conda/lib/python3.11/ssl.py",
    ],
)  # fmt: skip
def test_what_package_managers_put_there_and_what_is_no_text_is_not(path: str) -> None:
    assert not may_hold_secret(path, 100)


def test_a_binary_file_is_none_whatever_is_in_it() -> None:
    assert secret_in("app/program", b"\x7fELF\0\0" + AWS.encode()) is None


def test_no_answer_holds_a_part_of_the_secret() -> None:
    for content in (KEY.replace("{}", ""), AWS, GITHUB):
        kind = secret_in("app/a.txt", content.encode())
        assert kind is not None
        assert re.fullmatch("[A-Za-z ]+", kind)


HARD = [
    "://a:", "://" + "a" * 199, "-----BEGIN PRIVATE KEY-----", "-----BEGIN A A ", "KEY=", "export ", "password ",
    "_auth=",
    '"auth": "', "aws_secret_access_key", "AKIA", "ghp_ghp_", "xoxb-11111111-", "A" * 7, " ", "\n",
]  # fmt: skip


@pytest.mark.parametrize("piece", HARD)
@pytest.mark.timeout(20)
def test_content_made_to_be_slow_is_read_in_linear_time(piece: str) -> None:
    """256 KiB of any of these take milliseconds; of a pattern that backtracks, hours."""
    content = (piece * MOST_BYTES)[:MOST_BYTES].encode()
    for path in (".env", "a.tfvars", ".npmrc", ".pypirc", ".netrc", ".git-credentials", ".dockercfg"):
        secret_in(path, content)
        secret_in(path, content[:-1] + b"!")


@given(st.sampled_from([".env", "a.py", ".npmrc", "id_rsa", ".docker/config.json"]), st.binary(max_size=3000))
def test_any_bytes_have_an_answer(path: str, content: bytes) -> None:
    assert secret_in(path, content) is None or secret_in(path, content)


def test_base64_of_random_bytes_is_none() -> None:
    for _ in range(20):
        assert secret_in("app/data.txt", base64.encodebytes(DRAW.randbytes(100_000))) is None


def test_a_path_that_no_container_can_have_is_not_looked_into() -> None:
    assert may_hold_secret("a/" * 2000 + ".env", 100)
    assert not may_hold_secret("a/" * 500_000 + ".env", 100)
