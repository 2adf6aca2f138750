"""Whether there is a registry below a path, such as `https://example.com/artifactory/api/docker/key`.

The distribution API is usually under `/v2/` at the root of a host. Some registries serve it below a path; the address
alone does not tell such a path from a repository's name.
"""

from __future__ import annotations

from regscope.errors import RequestError
from regscope.registry.answer import Answer
from regscope.registry.connections import Connections
from regscope.registry.responses import discard, read_json
from regscope.registry.retry_policy import RetryPolicy
from regscope.registry.tls import ClientCertificate
from regscope.registry.transport import Transport

_VERSION = "Docker-Distribution-Api-Version"
_ONCE = RetryPolicy(failures=0, refusals=0)
_MOST_BYTES = 2**16


def answers_as_registry(
    base_url: str,
    *,
    verify: bool | str = True,
    certificate: ClientCertificate | None = None,
    timeout: tuple[float | None, float | None] = (10, 10),
) -> bool:
    """Whether a registry answers at `base_url` (distribution-spec, Determining Support): one anonymous request.

    A registry answers with 200 or 401. Web sites do so too, whatever the path: therefore the answer must state the
    API's version, or have a challenge, or be JSON.

    Raises:
        RequestError: there was no answer.
    """
    connections = Connections(base_url, 1, verify=verify, certificate=certificate)
    transport = Transport(base_url, connections, _ONCE, None, None)
    try:
        return _is_of_a_registry(transport.send("GET", f"{base_url}/v2/", {}, timeout))
    finally:
        transport.close()


def _is_of_a_registry(answer: Answer) -> bool:
    if answer.status_code not in (200, 401):
        discard(answer)
        return False
    names_version = answer.headers.get(_VERSION, "").startswith("registry/2")
    if names_version or (answer.status_code == 401 and answer.headers.get("WWW-Authenticate")):
        discard(answer)
        return True
    try:
        read_json(answer, _MOST_BYTES, "the answer")
    except RequestError:
        return False
    return True
