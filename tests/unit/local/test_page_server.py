"""The small server: requests become events, answers go back as they are, and no other name is answered."""

import http.client
import socket
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from pushlane.local.errors import PortTaken
from pushlane.local.page_server import BODY_BYTES_MAX, PageServer, serving
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.api import InMemoryApi


class Echo:
    """Remembers the events."""

    def __init__(self) -> None:
        self.events: list[Mapping[str, Any]] = []

    def answer(self, event: Mapping[str, Any]) -> dict[str, Any]:
        self.events.append(event)
        return {"statusCode": 201, "headers": {"x-said": "yes", "content-type": "text/plain"}, "body": "grüß"}


@pytest.fixture
def echo() -> Iterator[tuple[Echo, PageServer]]:
    said = Echo()
    with serving(said.answer) as server:
        yield said, server


def call(
    server: PageServer, method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()
    finally:
        connection.close()


def test_a_request_is_the_event_that_api_gateway_would_send(echo: tuple[Echo, PageServer]) -> None:
    said, server = echo
    status, headers, text = call(server, "POST", "/v1/tasks?tenant=a%20b&x=", b"{}", Authorization="Bearer k")
    assert (status, headers["x-said"], text) == (201, "yes", "grüß")
    [event] = said.events
    assert (event["rawPath"], event["rawQueryString"]) == ("/v1/tasks", "tenant=a%20b&x=")
    assert event["queryStringParameters"] == {"tenant": "a b", "x": ""}
    assert (event["headers"]["authorization"], event["body"], event["isBase64Encoded"]) == ("Bearer k", "e30=", True)
    assert event["requestContext"] == {"http": {"method": "POST"}, "stage": "$default"}


def test_only_its_own_name_is_answered(echo: tuple[Echo, PageServer]) -> None:
    """A page elsewhere may have a name of its own point to this machine."""
    said, server = echo
    for host in ("evil.example", f"evil.example:{server.port}", "127.0.0.1", f"127.0.0.1:{server.port + 1}"):
        assert call(server, "GET", "/console", Host=host)[0] == 421
    assert said.events == []
    assert call(server, "GET", "/console", Host=f"localhost:{server.port}")[0] == 201


def test_a_body_that_is_too_large_is_not_read(echo: tuple[Echo, PageServer]) -> None:
    said, server = echo
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as raw:
        head = f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: {BODY_BYTES_MAX + 1}\r\n\r\n"
        raw.sendall(head.encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 413")
    assert said.events == []


def test_it_listens_on_this_machine_alone_and_says_when_a_port_is_taken(echo: tuple[Echo, PageServer]) -> None:
    _, server = echo
    assert server.server_address[0] == "127.0.0.1"
    with pytest.raises(PortTaken):
        PageServer(Echo().answer, server.port)


def test_the_application_answers_through_it() -> None:
    api = InMemoryApi(InMemoryDispatcher())
    with serving(api.app.handle) as server:
        assert call(server, "GET", "/console")[0] == 200
        etag = call(server, "GET", "/console/app.js")[1]["etag"]
        assert call(server, "GET", "/console/app.js", b"", **{"If-None-Match": etag})[::2] == (304, "")
        assert call(server, "GET", "/console/../api/app.py")[0] == 404
        assert call(server, "GET", "/v1/caller")[0] == 401
