"""A small HTTP server on this machine in front of the API's own application: requests become the events that API
Gateway would send it, and its answers go back as they are.

Any web page that is open in the same browser can reach it, so it answers under its own name only (a name that is made
to point here is refused), and every operation still asks for a credential.
"""

import base64
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from pushlane.local.ports import HOST, require_free

Answering = Callable[[Mapping[str, Any]], Mapping[str, Any]]

BODY_BYTES_MAX: Final = 6 * 1024 * 1024
_NAMES: Final = (HOST, "localhost")


class PageServer(ThreadingHTTPServer):
    """Serves `answer` at 127.0.0.1, on a free port unless one is given. Raises `PortTaken`."""

    daemon_threads = True

    def __init__(self, answer: Answering, port: int = 0) -> None:
        if port:
            require_free(port)
        super().__init__((HOST, port), _Handler)
        self.answer = answer
        self.port: int = self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser drops connections as it likes; what else goes wrong is an error of ours, and is shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # as they were given

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def hosts(self) -> frozenset[str]:
        """What a request may call it."""
        return frozenset(f"{name}:{self.port}" for name in _NAMES)


@contextmanager
def serving(answer: Answering, port: int = 0) -> Iterator[PageServer]:
    """A server for the length of a block."""
    server = PageServer(answer, port)
    thread = threading.Thread(target=server.serve_forever, name="page-server", daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    protocol_version = "HTTP/1.1"
    server_version = "pushlane"
    sys_version = ""

    def _answer(self) -> None:
        if self.headers.get("host") not in self.server.hosts:
            self._refuse(HTTPStatus.MISDIRECTED_REQUEST)
            return
        length = self.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > BODY_BYTES_MAX or "transfer-encoding" in self.headers:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        said = self.server.answer(self._event(self.rfile.read(int(length))))
        self._send(said["statusCode"], said["headers"], str(said.get("body", "")).encode())

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def do_PATCH(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def do_OPTIONS(self) -> None:
        self._answer()

    def _event(self, body: bytes) -> dict[str, Any]:
        """As API Gateway says it (payload format 2.0)."""
        parts = urlsplit(self.path)
        return {
            "version": "2.0",
            "rawPath": parts.path,
            "rawQueryString": parts.query,
            "queryStringParameters": dict(parse_qsl(parts.query, keep_blank_values=True)),
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "requestContext": {"http": {"method": self.command}, "stage": "$default"},
            "body": base64.b64encode(body).decode(),
            "isBase64Encoded": True,
        }

    def _refuse(self, status: HTTPStatus) -> None:
        self.close_connection = True
        self._send(status, {"connection": "close"}, b"")

    def _send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        try:
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):  # whoever asked has left the page
            self.close_connection = True

    def log_message(self, *_arguments: object) -> None:
        """Silent: paths carry tickets, and the command's own lines are for a person."""
