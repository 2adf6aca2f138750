"""Files that seem to contain secrets: private keys, tokens, passwords.

Only the kind of a secret is returned; no function returns the secret itself, and no error contains it.
"""

from __future__ import annotations

import re
from functools import lru_cache

MOST_BYTES = 256 * 2**10
"""Of a file; a larger one is not looked into."""

_LONGEST_PATH = 4096  # PATH_MAX of Linux: no container has a file at a longer path

# By path

_STORES = frozenset([".p12", ".pfx", ".jks", ".keystore", ".kdbx"])
_TELLING = _STORES | {".pem", ".key", ".ppk", ".tfvars", ".env"}
_NAMES = frozenset([
    "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "id_ecdsa_sk", "id_ed25519_sk",
    ".npmrc", ".pypirc", ".netrc", "_netrc", ".git-credentials", ".gitconfig", ".dockercfg", ".dockerconfigjson",
    "config", "config.json", "credentials",
    ".bash_history", ".zsh_history", ".ash_history", ".sh_history",
    ".python_history", ".psql_history", ".mysql_history",
])  # fmt: skip
_TEXTS = frozenset([
    ".py", ".js", ".mjs", ".cjs", ".ts", ".jsx", ".tsx", ".rb", ".go", ".java", ".php", ".pl", ".sh", ".bash", ".sql",
    ".json", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".config", ".properties", ".tfstate",
    ".xml", ".txt", ".md",
])  # fmt: skip
_EXAMPLES = (".example", ".sample", ".template", ".tmpl", ".dist", ".defaults", ".schema")

# Files that package managers install are the same in everyone's images.
_MANAGED = ("usr/", "lib/", "lib64/", "bin/", "sbin/", "boot/", "var/lib/", "var/cache/", "proc/", "sys/", "nix/store/")
_OWN = ("usr/local/", "usr/src/", "usr/share/nginx/html/", "var/lib/jenkins/")
_MANAGED_IN_OWN = ("usr/local/lib/", "usr/local/go/", "usr/local/share/", "usr/local/include/", "usr/src/linux")
# Published packages, wherever they are installed: their content is public.
_PUBLISHED = re.compile(
    r"(?:^|/)(?:site-packages|dist-packages|node_modules|go/pkg|vendor/bundle|lib/python\d[\d.]*|\.cargo/registry"
    r"|\.rustup|\.m2|\.gradle|\.nuget|conda/pkgs|__pycache__)(?:/|$)"
)
_DOCUMENTATION = ("usr/share/doc/", "usr/share/man/", "usr/share/info/")
_TESTS = re.compile(
    r"(?:^|/)_{0,2}(?:tests?|testing|testdata|certdata|fixtures?|examples?|samples?|demos?|docs?)_{0,2}(?:/|$)"
)


def may_hold_secret(path: str, size: int) -> bool:
    """Whether a file is searched: by its name, or as a text file that no package manager has installed."""
    if not 0 < size <= MOST_BYTES or len(path) > _LONGEST_PATH:
        return False
    folder, _, name = path.rpartition("/")
    dot = name.rfind(".")
    suffix = name[dot:] if dot > 0 else ""
    if suffix in _TELLING or name in _NAMES or name.startswith(".env"):
        return not _for_show(folder)
    return (not suffix or suffix in _TEXTS) and not _managed(folder)


@lru_cache(maxsize=256)  # cached: the files of a folder are next to one another in a tar
def _managed(folder: str) -> bool:
    within = f"{folder}/"
    if within.startswith(_MANAGED_IN_OWN) or _PUBLISHED.search(folder):
        return True
    return within.startswith(_MANAGED) and not within.startswith(_OWN)


@lru_cache(maxsize=256)
def _for_show(folder: str) -> bool:
    """Documentation, published packages, and the tests and examples of other installed software."""
    if f"{folder}/".startswith(_DOCUMENTATION) or _PUBLISHED.search(folder):
        return True
    return _managed(folder) and _TESTS.search(folder) is not None


# By content; each pattern has one group, the secret, and runs in linear time

_KEY_BEGINS = re.compile(rb"-----BEGIN (?:[A-Z0-9]{1,10} ){0,2}PRIVATE KEY(?: BLOCK)?-----|^PuTTY-User-Key-File-\d")
_KEY_BODY = re.compile(rb"([A-Za-z0-9+/]{32,})")
_BODY_WITHIN = 500

_URL_WITH_PASSWORD = re.compile(rb"://[^\s:/@]{1,200}:([^\s/@]{1,500})@")
_DOCKER_LOGIN = re.compile(rb'"(?:auth|identitytoken|registrytoken|password)"\s*+:\s*+"([^"\s]{4,})"')
_OF_NAMED: dict[str, tuple[str, re.Pattern[bytes]]] = {
    ".npmrc": ("npm token", re.compile(rb"_(?:authToken|auth|password)[ \t]*+=[ \t]*+([^\s;#]++)")),
    ".pypirc": ("PyPI token", re.compile(rb"^[ \t]*+password[ \t]*+[=:][ \t]*+([^\r\n]++)", re.MULTILINE)),
    ".netrc": ("netrc", re.compile(rb"\bpassword\s++(\S++)")),
    ".git-credentials": ("git credentials", _URL_WITH_PASSWORD),
    ".gitconfig": ("git credentials", _URL_WITH_PASSWORD),
    ".git/config": ("git credentials", _URL_WITH_PASSWORD),
    ".docker/config.json": ("docker login", _DOCKER_LOGIN),
    ".dockercfg": ("docker login", _DOCKER_LOGIN),
    ".dockerconfigjson": ("docker login", _DOCKER_LOGIN),
}
_OF_NAMED["_netrc"] = _OF_NAMED[".netrc"]

_TOKENS: list[tuple[str, tuple[bytes, ...], re.Pattern[bytes]]] = [
    (kind, marks, re.compile(rb"(?<![A-Za-z0-9_])" + pattern + rb"(?![A-Za-z0-9])"))
    for kind, marks, pattern in (
        ("AWS access key", (b"AKIA", b"ASIA"), rb"((?:AKIA|ASIA)[A-Z2-7]{16})"),
        (
            "AWS access key",
            (b"secret_access_key", b"SECRET_ACCESS_KEY", b"SecretAccessKey"),
            rb"""(?i:(?:aws_)?secret_?access_?key)["']?\s*+[=:]\s*+["']?([A-Za-z0-9/+]{40})""",
        ),
        ("GitHub token", (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_"), rb"gh[pousr]_([A-Za-z0-9]{36,255})"),
        ("GitHub token", (b"github_pat_",), rb"github_pat_([A-Za-z0-9_]{82})"),
        ("GitLab token", (b"glpat-", b"gldt-", b"glrt-"), rb"gl(?:pat|dt|rt)-([A-Za-z0-9_-]{20,200})"),
        ("Slack token", (b"xox",), rb"xox[abeoprs]-((?:\d{8,20}-){1,3}[A-Za-z0-9]{16,64})"),
        ("npm token", (b"npm_",), rb"npm_([A-Za-z0-9]{36})"),
        ("PyPI token", (b"pypi-AgE",), rb"pypi-AgE([A-Za-z0-9_-]{50,500})"),
        ("Google API key", (b"AIza",), rb"AIza([A-Za-z0-9_-]{35})"),
        ("Stripe key", (b"k_live_",), rb"[sr]k_live_([A-Za-z0-9]{16,250})"),
    )
]

_ASSIGNMENT = re.compile(
    rb"^[ \t]*+(?:export[ \t]++)?([A-Za-z_]\w{0,99})[ \t]*+=[ \t]*+([^\r\n]++)", re.MULTILINE | re.ASCII
)
_TELLING_NAME = re.compile(
    rb"(?:PASSWORD|PASSWD|PASSPHRASE|_PASS|_PWD|SECRET|TOKEN|API_?KEY|_KEY|CREDENTIALS?)(?:_BASE|_\d{1,3})?$",
    re.IGNORECASE,
)
_HARMLESS_NAME = re.compile(rb"PUBLIC|PUBLISHABLE|SORT|PRIMARY|FOREIGN|PARTITION|CACHE", re.IGNORECASE)

_PLACEHOLDER = re.compile(
    rb"example|sample|change[-_ ]?(?:me|this|it)|your[-_ ]|placeholder|dummy|redacted|replace|xxxx|\*\*\*"
    rb"|123456789|abcdefgh",
    re.IGNORECASE,
)
_REFERENCE = re.compile(rb"[$<%{(\[#!*]|~?/[\w.-]+/|vault:|ssm:|op://|secret://|env\(")
_NOTHING = frozenset(b"true false none null nil undefined default yes no on off todo tbd".split())


def secret_in(path: str, content: bytes) -> str | None:
    """The kind of the first secret that a file seems to contain; None where there is none.

    Public keys, certificates, placeholders (`changeme`, `<token>`, `${TOKEN}`, AKIAIOSFODNN7EXAMPLE) and files named
    as examples do not count; an encrypted private key does.
    """
    folder, _, name = path.rpartition("/")
    if name[name.rfind(".") :] in _STORES:
        return "key store"
    if len(content) > MOST_BYTES or b"\0" in content[:1024]:
        return None
    if _has_private_key(content):
        return "private key"
    named = _OF_NAMED.get(name) or _OF_NAMED.get(f"{folder.rpartition('/')[2]}/{name}")
    if named is not None and _is_found(named[1], content):
        return named[0]
    for kind, marks, token in _TOKENS:
        if any(mark in content for mark in marks) and _is_found(token, content):
            return kind
    if name.endswith(".tfvars"):
        return "Terraform variables" if _assigns_secret(content) else None
    if (name.startswith(".env") or name.endswith(".env")) and not name.endswith(_EXAMPLES):
        return "environment file" if _assigns_secret(content) else None
    return None


def _has_private_key(content: bytes) -> bool:
    """Whether there is a private key with content; programs that read keys contain the first line alone."""
    if b"PRIVATE KEY" not in content and not content.startswith(b"PuTTY"):
        return False
    for begins in _KEY_BEGINS.finditer(content):
        body = _KEY_BODY.search(content, begins.end(), begins.end() + _BODY_WITHIN)
        if body and not _is_placeholder(body[1]):
            return True
    return False


def _is_found(secret: re.Pattern[bytes], content: bytes) -> bool:
    return any(not _is_placeholder(match[1]) for match in secret.finditer(content))


def _assigns_secret(content: bytes) -> bool:
    """Whether a variable with the name of a secret is set to something other than a placeholder."""
    return any(
        _TELLING_NAME.search(variable) and not _HARMLESS_NAME.search(variable) and not _is_placeholder(value)
        for variable, value in _ASSIGNMENT.findall(content)
    )


def _is_placeholder(value: bytes) -> bool:
    value = value.strip(b" \t'\"`,;")
    return (
        len(set(value)) < min(8, len(value) // 2 + 1)
        or len(value) < 4
        or value.lower() in _NOTHING
        or _REFERENCE.match(value) is not None
        or _PLACEHOLDER.search(value) is not None
    )
