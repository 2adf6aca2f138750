"""Anonymous requests at the same time, the first of all: each is sent again with the token that one of them fetched."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.tags import Tags
from tests.servers.hosted.hosted import answered, error
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse


def test_a_challenge_that_comes_after_another_was_answered_is_answered_too(proxy: FaultProxy) -> None:
    both, fetched, arrived = threading.Event(), threading.Event(), [0]

    def strangers_wait(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if request.path.startswith("/token"):
            fetched.set()
            return answered({"token": "for-anybody"})
        if "Authorization" in request.headers:
            return None
        arrived[0] += 1
        if arrived[0] == 1:
            both.wait(10)
        else:
            both.set()
            fetched.wait(10)  # by then the way is known
        challenge = f'Bearer realm="{proxy.url}/token",service="ours"'
        return error(401, "UNAUTHORIZED", "who is it?", ("WWW-Authenticate", challenge))

    proxy.rule(strangers_wait)
    with DockerRegistryV2Client(proxy.url) as client, ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: Tags("base", client).list(), range(2))
    assert first == second != []
    assert arrived == [2]
