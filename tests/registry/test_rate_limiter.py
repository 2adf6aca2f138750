"""How fast a host is asked: limits that hold, and refusals that all threads heed."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from regscope.errors import TooManyRequests
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.rate_limiter import RateLimiter
from regscope.registry.retry_policy import RetryPolicy
from regscope.registry.tags import Tags
from regscope.spec.retry_after import is_rate_limited, wait_asked_for
from tests.servers import faults
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse


def ask_often(client: DockerRegistryV2Client, times: int) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: Tags("base", client).list(), range(times)))


def test_no_more_requests_at_once_than_allowed(proxy: FaultProxy) -> None:
    running, most, lock = 0, 0, threading.Lock()

    def counted(request: ProxyRequest, forward: Forward) -> ProxyResponse:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        answer = forward()
        with lock:
            running -= 1
        return answer

    proxy.rule(counted)
    with DockerRegistryV2Client(proxy.url, concurrency=3) as client:
        ask_often(client, 24)
    assert most == 3


def test_no_more_requests_a_second_than_allowed(proxy: FaultProxy) -> None:
    with DockerRegistryV2Client(proxy.url, rate=50) as client:
        started = time.monotonic()
        ask_often(client, 16)
        assert time.monotonic() - started >= 15 / 50


def test_a_thread_that_reads_one_answer_may_ask_for_another(proxy: FaultProxy) -> None:
    with DockerRegistryV2Client(proxy.url, concurrency=1) as client:
        unread = client.get(client.url("base", "tags", "list"))
        assert Tags("base", client).list() == ["1", "stable"]
        unread.close()


def test_one_refusal_makes_all_threads_wait(proxy: FaultProxy) -> None:
    arrived: list[float] = []
    proxy.rule(lambda request, forward: arrived.append(time.monotonic()))  # type: ignore[func-returns-value]
    proxy.rule(faults.too_many(1, "1"))
    with DockerRegistryV2Client(proxy.url) as client, ThreadPoolExecutor(4) as pool:
        first = pool.submit(Tags("base", client).list)
        while not arrived:
            time.sleep(0.01)
        time.sleep(0.2)
        others = [pool.submit(Tags("base", client).list) for _ in range(3)]
        assert [done.result() for done in (first, *others)] == [["1", "stable"]] * 4
    assert min(arrived[1:]) - arrived[0] >= 0.95


def test_a_host_that_refuses_is_asked_by_fewer_threads_and_by_more_again_when_it_answers() -> None:
    pace = RateLimiter(concurrency=8)
    holders = [pace.enter()]
    pace.refused(0)
    assert pace._limit == 1
    pace.leave(holders[0])
    for _ in range(100):
        pace.answered()
    assert pace._limit == 8


def test_a_refused_request_goes_on_as_long_as_others_get_through(proxy: FaultProxy) -> None:
    turn = iter(range(10**6))
    lock = threading.Lock()

    def every_third(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        with lock:
            refused = next(turn) % 3 > 0
        return ProxyResponse(429, [("Retry-After", "0")]) if refused else None

    proxy.rule(every_third)
    with DockerRegistryV2Client(proxy.url, retry_policy=RetryPolicy(backoff=0)) as client:
        ask_often(client, 40)  # which fails where one of them was given up
    assert len(proxy.requests) >= 3 * 40 - 2


def test_a_wait_beyond_patience_is_not_waited_for(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    proxy.rule(faults.too_many(100, "21600"))
    started = time.monotonic()
    with pytest.raises(TooManyRequests) as caught:
        Tags("base", proxied).list()
    back = datetime.now(UTC) + timedelta(hours=6)
    assert f"until {back:%Y-%m-%d %H:}" in caught.value.next_step or back.minute in (0, 59)
    assert time.monotonic() - started < 1
    assert len(proxy.requests) == 1


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [("0", 0), ("7", 7), ("Thu, 01 Jan 1970 00:00:00 GMT", 0), (None, None), ("", None), ("soon", None), ("-1", None)],
)
def test_retry_after_in_both_forms(stated: str | None, seconds: float | None) -> None:
    assert wait_asked_for({} if stated is None else {"Retry-After": stated}) == seconds


def test_the_moment_in_the_forms_of_docker_hub_and_github() -> None:
    soon = str(int(time.time()) + 60)
    for headers in ({"X-Retry-After": soon}, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": soon}):
        assert 55 < (wait_asked_for(headers) or 0) <= 60
    assert wait_asked_for({"X-RateLimit-Remaining": "7", "X-RateLimit-Reset": soon}) is None
    assert wait_asked_for({"X-Retry-After": "soon"}) is None


@pytest.mark.parametrize(
    ("status", "headers", "is_limited"),
    [
        (429, {}, True),
        (403, {"X-RateLimit-Remaining": "0"}, True),
        (403, {"Retry-After": "60"}, True),
        (403, {"X-RateLimit-Remaining": "12"}, False),
        (200, {"X-RateLimit-Remaining": "0"}, False),
    ],
)
def test_a_403_with_a_used_up_quota_asks_to_wait(status: int, headers: dict[str, str], is_limited: bool) -> None:
    assert is_rate_limited(status, headers) == is_limited
