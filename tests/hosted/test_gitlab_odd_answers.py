"""GitLab: what is said where it answers otherwise than it should, or not at all."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import regscope as rs
from regscope.errors import AuthFailed, InvalidDigest, RequestError, ResourceNotFound
from tests.hosted.pushed import NEW, found
from tests.hosted.test_gitlab import HOST, READS, opened, scanned
from tests.servers.hosted.gitlab import GitLabRegistry
from tests.servers.hosted.hosted import answered
from tests.servers.proxy import ProxyResponse


def test_without_the_metadata_database_a_scan_sees_what_any_registry_shows_and_warns_once(
    gitlab: GitLabRegistry,
) -> None:
    gitlab.database = False
    store = opened(gitlab)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        snap = scanned(store, repositories=["team/app", "team/tools/base"])
    (warned,) = [each for each in caught if issubclass(each.category, rs.CapabilityWarning)]
    assert "metadata database" in str(warned.message)
    assert found(snap)[NEW.digest] == "tag"
    assert not snap.sees_untagged
    assert not len(snap.problems)


@pytest.mark.parametrize(
    "answer",
    [
        ProxyResponse(200, [("Content-Type", "text/html")], b"<html>Sign in</html>"),
        answered({"tags": []}),
        answered(["1.0", "latest"]),
        ProxyResponse(404, [("Content-Type", "text/html")], b"<html>Not found</html>"),
    ],
    ids=["a page", "an object", "names", "404"],
)
def test_an_answer_of_something_else_is_none_of_the_registrys(gitlab: GitLabRegistry, answer: ProxyResponse) -> None:
    gitlab.rules.insert(0, lambda request, forward: answer if request.path.startswith("/gitlab/") else None)
    with pytest.warns(rs.CapabilityWarning, match="does not let /gitlab/v1 through"):
        assert opened(gitlab).tags("team/app") == ["1.0", "2.0", "latest"]


@pytest.mark.parametrize("entry", [{}, {"name": "1.0"}, {"name": 1, "digest": NEW.digest}, {"name": "a", "digest": 5}])
def test_an_entry_without_a_name_or_a_digest_is_an_error_and_no_gap(
    gitlab: GitLabRegistry, entry: dict[str, Any]
) -> None:
    gitlab.rules.insert(0, lambda request, forward: answered([entry]) if "/gitlab/" in request.path else None)
    with pytest.raises(InvalidDigest):
        opened(gitlab).tags("team/app")


def test_what_the_api_answers_in_another_form_is_an_error(gitlab: GitLabRegistry) -> None:
    html = ProxyResponse(200, [("Content-Type", "text/html")], b"<html>Sign in</html>")
    gitlab.rules.insert(0, lambda request, forward: html if "/api/v4/" in request.path else None)
    with pytest.raises(RequestError, match="is no JSON"):
        opened(gitlab, f"{HOST}/team", api_token=READS).repositories()


def test_a_repository_that_is_not_there_is_an_error(gitlab: GitLabRegistry) -> None:
    with pytest.raises(ResourceNotFound):
        opened(gitlab).tags("team/nothing")


def test_a_wrong_password_is_an_error(gitlab: GitLabRegistry) -> None:
    with pytest.raises(AuthFailed, match="access forbidden"):
        opened(gitlab, password="wrong").tags("team/app")


def test_tokens_that_expire_in_mid_run_are_renewed(gitlab: GitLabRegistry) -> None:
    store = opened(gitlab)
    assert store.tags("team/app")
    gitlab.forget_tokens()
    assert store.tags("team/app") == ["1.0", "2.0", "latest"]
    gitlab.forget_tokens()
    assert store.manifest("team/app", "1.0").digest == NEW.digest


def test_where_there_are_too_many_requests_it_waits_as_it_is_told(gitlab: GitLabRegistry) -> None:
    limits = [ProxyResponse(429, [("Retry-After", "0"), ("RateLimit-Remaining", "0")], b"Retry later\n")] * 2
    busy = {"/gitlab/v1/": [*limits], "/api/v4/": [*limits]}

    def limit(request: Any, forward: Any) -> ProxyResponse | None:
        left = next((left for path, left in busy.items() if request.path.startswith(path)), [])
        return left.pop() if left else None

    gitlab.rules.insert(0, limit)
    assert opened(gitlab, f"{HOST}/team", api_token=READS).repositories() == ["team/app", "team/tools/base"]
    assert busy == {"/gitlab/v1/": [], "/api/v4/": []}


def test_a_server_that_fails_is_a_problem_of_the_scan_and_no_empty_list(gitlab: GitLabRegistry) -> None:
    broken = answered({"errors": [{"code": "UNKNOWN", "message": "oops"}]}, status=501)
    gitlab.rules.insert(0, lambda request, forward: broken if "team/app/tags/list" in request.path else None)
    snap = scanned(opened(gitlab, f"{HOST}/team", api_token=READS))
    assert snap.problems["repository"].tolist() == ["team/app"]
    assert rs.plan(snap, rs.Retention(tags="*")).at_most
