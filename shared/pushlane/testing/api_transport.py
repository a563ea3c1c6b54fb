"""httpx transports that put every call to the API in this process, as API Gateway would.

Needs the extra `client`.
"""

import base64
from collections.abc import Callable
from typing import Any

import httpx

from pushlane.testing.api import InMemoryApi

Meddle = Callable[[httpx.Request], httpx.Response | None]


class ApiTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """For `Client(..., transport=)` and `AsyncClient(..., transport=)`. `meddle` sees every request first: it can
    answer in the API's place, or raise an error of httpx as a broken network would; `after` sees every answer, and can
    lose it by raising one.
    """

    def __init__(
        self,
        api: InMemoryApi,
        *,
        meddle: Meddle = lambda _request: None,
        after: Callable[[httpx.Request, httpx.Response], None] = lambda _request, _response: None,
    ) -> None:
        self._api = api
        self._meddle = meddle
        self._after = after
        self._sequence = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answered = self._meddle(request)
        if answered is None:
            answered = self._answer(request, request.read())
        self._after(request, answered)
        return answered

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        return self.handle_request(request)

    def _answer(self, request: httpx.Request, body: bytes) -> httpx.Response:
        self._sequence += 1
        said = self._api.app.handle(_event(request, body, f"in-process-{self._sequence}"))
        return httpx.Response(said["statusCode"], headers=said["headers"], content=said.get("body", "").encode())


def _event(request: httpx.Request, body: bytes, request_id: str) -> dict[str, Any]:
    """The call as API Gateway hands it on (payload format 2.0)."""
    path = request.url.raw_path.decode().partition("?")[0]
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": request.url.query.decode(),
        "queryStringParameters": dict(request.url.params),
        "headers": {name.lower(): value for name, value in request.headers.items()},
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
        "requestContext": {
            "requestId": request_id,
            "stage": "$default",
            "http": {"method": request.method, "path": path},
        },
    }
