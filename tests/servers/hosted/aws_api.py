"""The JSON 1.1 protocol of AWS: requests are signed, and what is asked and answered fits botocore's service model.

A signature is checked by botocore itself (SigV4Auth), errors have the form that botocore parses (parsers.py,
BaseJSONParser), and codes are those of the service model or, for credentials, of the "Common errors" of its reference.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from ..proxy import ProxyRequest, ProxyResponse
from .hosted import authorization

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # the example of their manual
_TYPE = ("Content-Type", "application/x-amz-json-1.1")


class Refused(Exception):
    """An operation that ends with an error of this code."""

    def __init__(self, code: str, message: str = "", status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


class AWSAPI:
    """The control plane of a service.

    Attributes:
        denied: operations that the caller's policies do not allow.
        expired: whether the caller's credentials have expired.
        throttled: how many of the next requests are too many.
        asked: the operations so far, with what they were given.
    """

    def __init__(
        self, service: str, version: str, region: str, operations: dict[str, Callable[[dict[str, Any]], dict[str, Any]]]
    ) -> None:
        self._model = ServiceModel(Loader().load_service_model(service, "service-2"), service)
        assert self._model.api_version == version
        self._service, self._region, self._operations = service, region, operations
        self.denied: set[str] = set()
        self.expired = False
        self.throttled = 0
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def answer(self, request: ProxyRequest) -> ProxyResponse:
        """The answer to a request for one of the operations."""
        try:
            operation = request.headers.get("X-Amz-Target", "").removeprefix(f"{self._model.metadata['targetPrefix']}.")
            if operation not in self._operations:
                raise Refused("UnknownOperationException")
            self._check_caller(request, operation)
            given = json.loads(request.body)
            self.asked.append((operation, given))
            model = self._model.operation_model(operation)
            if faults := _faults(given, model.input_shape):
                raise Refused("InvalidParameterException", faults)
            said = self._operations[operation](given)
            shown = {name: value for name, value in said.items() if value != []}  # the model has no empty lists
            assert not (found := _faults(shown, model.output_shape)), found
            return ProxyResponse(200, [_TYPE], json.dumps(said, default=_seconds).encode())
        except Refused as error:
            said = {"__type": error.code, "message": error.message}
            return ProxyResponse(error.status, [_TYPE], json.dumps(said).encode())

    def _check_caller(self, request: ProxyRequest, operation: str) -> None:
        if f"Credential={KEY}/" not in authorization(request):
            raise Refused("UnrecognizedClientException", "The security token included in the request is invalid.")
        if self.expired:
            raise Refused("ExpiredTokenException", "The security token included in the request is expired")
        if self._signature(request) not in authorization(request):
            raise Refused(
                "InvalidSignatureException",
                "The request signature we calculated does not match the signature you provided.",
            )
        if self.throttled:
            self.throttled -= 1
            raise Refused("ThrottlingException", "Rate exceeded")
        if operation in self.denied:
            action = f"{self._service}:{operation}"
            said = f"User: arn:aws:iam::123456789012:user/ann is not authorized to perform: {action}"
            raise Refused("AccessDeniedException", said)

    def _signature(self, request: ProxyRequest) -> str:
        signed = authorization(request).partition("SignedHeaders=")[2].partition(",")[0].split(";")
        headers = {name: request.headers[name] for name in signed}
        asked = AWSRequest("POST", f"https://{request.headers['Host']}/", headers, request.body)
        asked.context["timestamp"] = request.headers["X-Amz-Date"]
        signer = SigV4Auth(Credentials(KEY, SECRET), self._service, self._region)
        text = signer.string_to_sign(asked, signer.canonical_request(asked))
        return f"Signature={signer.signature(text, asked)}"


def page(entries: list[Any], given: dict[str, Any], most: int = 1000) -> tuple[list[Any], dict[str, str]]:
    """The entries that `nextToken` leads to, a hundred by default, and the token for those after them (DescribeImages,
    maxResults): opaque."""
    start, size = int(given.get("nextToken", "token:0").removeprefix("token:")), min(given.get("maxResults", 100), most)
    end = start + size
    return entries[start:end], ({"nextToken": f"token:{end}"} if end < len(entries) else {})


def _faults(value: dict[str, Any], shape: Any) -> str:
    return str(ParamValidator().validate(value, shape).generate_report())


def _seconds(when: datetime) -> float:
    return when.timestamp()  # JSON 1.1 has times as seconds since 1970
