"""Amazon ECR with one kind of credentials, with the other, with both, with none, with wrong and with expired ones."""

from __future__ import annotations

import base64
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import regscope as rs
from regscope.errors import AuthFailed, RequestError, TooManyRequests
from regscope.hosted import aws
from tests.hosted.pushed import FOUND, NEW, OLD, fill, found
from tests.servers.certificates import CertificateAuthority
from tests.servers.credential_helper import OwnHelper
from tests.servers.hosted.aws_api import KEY, SECRET
from tests.servers.hosted.ecr import HOST, ECRRegistry
from tests.servers.hosted.hosted import reached
from tests.servers.proxy import Forward, ProxyRequest, ProxyResponse
from tests.servers.registry import Registry

PASSWORD = "token-of-docker-login"
SINGLE_SIGN_ON = """[profile team]
sso_start_url = https://example.awsapps.com/start
sso_region = eu-west-1
sso_account_id = 123456789012
sso_role_name = reader
"""


@pytest.fixture
def ecr(behind: Registry, authority: CertificateAuthority) -> Iterator[ECRRegistry]:
    fill(behind)
    with reached(ECRRegistry(behind, authority, password=PASSWORD)) as profile:
        yield profile


@pytest.fixture
def saved_login(docker_config: Path) -> None:
    """What `aws ecr get-login-password | docker login --username AWS` leaves behind."""
    auth = base64.b64encode(f"AWS:{PASSWORD}".encode()).decode()
    (docker_config / "config.json").write_text(json.dumps({"auths": {HOST: {"auth": auth}}}))


@pytest.fixture
def without_credentials(ecr: ECRRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)


@pytest.fixture
def without_boto3(ecr: ECRRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)


def opened(ecr: ECRRegistry) -> rs.ContentStore:
    return rs.open(HOST, verify=ecr.ca, cache=False)


def operations(ecr: ECRRegistry) -> list[str]:
    return [operation for operation, _ in ecr.api.asked]


def on_the_api(answer: Callable[[ProxyRequest], ProxyResponse | None]) -> Callable[..., ProxyResponse | None]:
    def rule(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        return answer(request) if request.headers["Host"].startswith("api.") else None

    return rule


def test_aws_credentials_alone_give_the_registrys_login_once(ecr: ECRRegistry, docker_config: Path) -> None:
    assert found(rs.scan(opened(ecr), progress=False)) == FOUND
    assert operations(ecr).count("GetAuthorizationToken") == 1


@pytest.mark.usefixtures("saved_login")
def test_a_saved_login_comes_first(ecr: ECRRegistry) -> None:
    assert found(rs.scan(opened(ecr), progress=False)) == FOUND
    assert "GetAuthorizationToken" not in operations(ecr)


@pytest.mark.usefixtures("saved_login")
@pytest.mark.parametrize("what", ["boto3", "credentials"])
def test_with_the_saved_login_alone_a_scan_sees_what_any_registry_shows_and_says_once_what_is_lacking(
    ecr: ECRRegistry, request: pytest.FixtureRequest, what: str
) -> None:
    request.getfixturevalue(f"without_{what}")
    store = opened(ecr)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        snap = rs.scan(store, progress=False)
    (said,) = {str(each.message) for each in caught}
    assert len(caught) == 1
    assert {"boto3": "boto3 is not installed", "credentials": "no AWS credentials were found"}[what] in said
    assert "the extra aws: pip install boto3" in said
    assert "ecr:DescribeRepositories, DescribeImages" in said
    assert found(snap)[NEW.digest] == "tag"
    assert OLD.digest not in found(snap)
    assert not snap.sees_untagged
    assert not snap.sees_pulls
    assert not len(snap.problems)
    assert not operations(ecr)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        capabilities = store.capabilities
    assert capabilities is not None
    (credential,) = capabilities.would_add
    assert "the extra aws: pip install boto3" in credential
    assert "BatchDeleteImage" in credential
    assert not capabilities.adds


@pytest.mark.usefixtures("without_credentials")
def test_with_no_credentials_at_all_the_error_says_to_log_in(ecr: ECRRegistry, docker_config: Path) -> None:
    with pytest.raises(AuthFailed, match="wants a user name and password") as caught:
        opened(ecr).repositories()
    assert "docker login" in caught.value.next_step


@pytest.mark.usefixtures("saved_login")
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("key", "The security token included in the request is invalid"),
        ("secret", "The request signature we calculated does not match"),
        ("expired", "The security token included in the request is expired"),
        ("denied", "Allow ecr:DescribeImages to these AWS credentials in IAM"),
    ],
)
def test_where_the_control_plane_refuses_a_scan_goes_on_and_says_why(
    ecr: ECRRegistry, monkeypatch: pytest.MonkeyPatch, fault: str, expected: str
) -> None:
    if fault == "key":
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAWRONG")
    elif fault == "secret":
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    elif fault == "expired":
        ecr.api.expired = True
    else:
        ecr.api.denied = {"DescribeImages"}
    with pytest.warns(rs.CapabilityWarning, match="are not shown to these credentials") as caught:
        snap = rs.scan(opened(ecr), progress=False)
    assert all(expected in str(each.message) for each in caught)
    assert fault == "denied" or all("aws sso login" in str(each.message) for each in caught)
    assert found(snap)[NEW.digest] == "tag"
    assert not snap.sees_untagged
    assert not len(snap.problems)


def test_without_a_saved_login_wrong_aws_credentials_are_an_error(
    ecr: ECRRegistry, docker_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(AuthFailed, match="ecr:GetAuthorizationToken: The request signature") as caught:
        opened(ecr).repositories()
    assert "AWS_PROFILE" in caught.value.next_step


@pytest.mark.parametrize("status", [401, 403])
def test_a_login_that_expires_in_mid_run_is_replaced(ecr: ECRRegistry, docker_config: Path, status: int) -> None:
    """deis/builder#426, gitpod#1900, k8s-image-swapper#31: the token of 12 hours ended, and each pull failed."""
    store = opened(ecr)
    assert store.repositories()
    ecr.passwords.clear()
    if status == 401:
        challenge = [("WWW-Authenticate", 'Basic realm="https://x/",service="ecr.amazonaws.com"')]
        ecr.rules.insert(1, lambda request, _: None if ecr.passwords else ProxyResponse(401, challenge))
    assert store.manifest("team/app", "latest").digest == NEW.digest
    assert operations(ecr).count("GetAuthorizationToken") == 2


def test_whoever_lacks_a_permission_is_not_given_login_after_login(ecr: ECRRegistry, docker_config: Path) -> None:
    ecr.rules.insert(1, lambda request, _: ProxyResponse(403) if "/manifests/" in request.path else None)
    store = opened(ecr)
    for _ in range(3):
        with pytest.raises(RequestError):
            store.manifest("team/app", "latest")
    assert operations(ecr).count("GetAuthorizationToken") == 2


def test_too_many_requests_are_asked_again_and_at_last_an_error(
    ecr: ECRRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    ecr.api.throttled = 2
    assert opened(ecr).tags("team/app") == ["1.0", "2.0", "latest"]
    monkeypatch.setattr(aws, "_ATTEMPTS", 2)
    ecr.api.throttled = 99
    with pytest.raises(TooManyRequests, match="Rate exceeded") as caught:
        opened(ecr).tags("team/app")
    assert caught.value.code == "ThrottlingException"


ROW = {"imageDigest": NEW.digest, "imageTags": ["latest"]}


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Welcome</html>",
        b"[]",
        b"{}",
        b'{"imageDetails": 7}',
        b'{"imageDetails": ["text"]}',
        b'{"imageDetails": {"a": 1}}',
        b'{"imageDetails": [{"imageDigest": 7}]}',
        b'{"imageDetails": [{"imageTags": ["latest"]}]}',
        json.dumps({"imageDetails": [{**ROW, "imageTags": 7}]}).encode(),
        json.dumps({"imageDetails": [{**ROW, "imagePushedAt": "soon"}]}).encode(),
        json.dumps({"imageDetails": [ROW], "nextToken": "the same"}).encode(),
    ],
)
def test_an_answer_that_is_none_is_an_error_and_no_gap(ecr: ECRRegistry, body: bytes) -> None:
    kind = [("Content-Type", "application/x-amz-json-1.1")]
    ecr.rules.insert(0, on_the_api(lambda request: ProxyResponse(200, kind, body)))
    with pytest.raises(rs.RegscopeError) as caught:
        rs.open(HOST, username="AWS", password=PASSWORD, verify=ecr.ca).tags("team/app")
    assert caught.value.message


@pytest.mark.parametrize("status", [404, 500, 503])
def test_a_service_that_fails_is_an_error(ecr: ECRRegistry, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    monkeypatch.setattr(aws, "_ATTEMPTS", 1)
    ecr.rules.insert(0, on_the_api(lambda request: ProxyResponse(status, [], b"<html>no</html>")))
    with pytest.raises(RequestError) as caught:
        rs.open(HOST, username="AWS", password=PASSWORD, verify=ecr.ca).tags("team/app")
    assert caught.value.status_code == status
    assert "ecr:DescribeImages" in caught.value.message


def test_an_authority_that_boto3_does_not_know_is_named(ecr: ECRRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "_ATTEMPTS", 1)
    monkeypatch.delenv("AWS_CA_BUNDLE")
    with pytest.raises(RequestError) as caught:
        rs.open(HOST, username="AWS", password=PASSWORD, verify=ecr.ca).tags("team/app")
    assert "AWS_CA_BUNDLE" in caught.value.next_step


def test_the_helper_ecr_login_is_asked_again_when_its_login_has_expired(
    ecr: ECRRegistry, docker_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """amazon-ecr-credential-helper gives the same token of 12 hours as AWS itself."""
    helper = OwnHelper(tmp_path / "bin", "ecr-login", {HOST: ("AWS", PASSWORD)})
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    (docker_config / "config.json").write_text(json.dumps({"credHelpers": {HOST: "ecr-login"}}))
    store = opened(ecr)
    assert store.repositories()
    ecr.passwords = {"token-of-the-next-12-hours"}
    OwnHelper(tmp_path / "bin", "ecr-login", {HOST: ("AWS", "token-of-the-next-12-hours")})
    assert store.manifest("team/app", "latest").digest == NEW.digest
    assert helper.asked == [f"get {HOST}"] * 2
    assert "GetAuthorizationToken" not in operations(ecr)


@pytest.mark.usefixtures("without_credentials")
def test_a_profile_whose_credentials_a_program_gives_will_do(
    ecr: ECRRegistry, docker_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = json.dumps({"Version": 1, "AccessKeyId": KEY, "SecretAccessKey": SECRET})
    (tmp_path / "keys.json").write_text(said)
    (tmp_path / "config").write_text(f"[profile team]\ncredential_process = cat {tmp_path}/keys.json\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "team")
    assert found(rs.scan(opened(ecr), progress=False)) == FOUND


@pytest.mark.usefixtures("without_credentials", "saved_login")
@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("[profile other]\n", "The config profile (team) could not be found"),
        (SINGLE_SIGN_ON, "aws sso login"),
        (
            "[profile team]\ncredential_process = false\n",
            "no AWS credentials were found: Error when retrieving credentials",
        ),
    ],
    ids=["no such profile", "single sign-on has ended", "a program fails"],
)
def test_a_profile_without_credentials_is_told(
    ecr: ECRRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str, expected: str
) -> None:
    (tmp_path / "config").write_text(config)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "team")
    with pytest.warns(rs.CapabilityWarning) as caught:
        snap = rs.scan(opened(ecr), progress=False)
    assert all(expected in str(each.message) for each in caught)
    assert found(snap)[NEW.digest] == "tag"
