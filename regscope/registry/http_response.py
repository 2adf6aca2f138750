"""An answer as a `requests.Response`, as the client's verbs, its session and an error's `response` have it."""

from __future__ import annotations

import requests
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers

from regscope.registry.answer import Answer


def response_of(
    answer: Answer, content: bytes | None = None, request: requests.PreparedRequest | None = None
) -> requests.Response:
    """The answer as a `requests.Response`.

    Args:
        content: the body, where it was read already; otherwise it is read on first access.
        request: the request; by default one with the method and the URL only.
    """
    response = requests.Response()
    response.status_code = answer.status_code
    response.reason = answer.reason
    response.url = answer.url
    response.headers = CaseInsensitiveDict(answer.headers)
    response.encoding = get_encoding_from_headers(answer.headers)
    response.raw = answer.raw
    if request is None:
        request = requests.PreparedRequest()
        request.method, request.url, request.headers = answer.method, answer.url, CaseInsensitiveDict()
    response.request = request
    if content is not None:
        response._content = content
        response._content_consumed = True  # type: ignore[attr-defined]
    return response
