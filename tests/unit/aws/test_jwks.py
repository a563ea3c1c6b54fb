"""JWKS documents over a real connection."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pushlane.aws.jwks import BYTES_MAX, JwksReader
from pushlane.model.issuer import KeysUnavailable

DOCUMENT = b'{"keys": []}'


class _Issuer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = {"/keys?v=1": DOCUMENT, "/large": b"x" * (BYTES_MAX + 1)}.get(self.path)
        status = 302 if self.path == "/moved" else 404 if body is None else 200
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/keys?v=1")
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Issuer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_document(issuer: str) -> None:
    assert JwksReader(allow_local=True)(f"{issuer}/keys?v=1") == DOCUMENT


@pytest.mark.parametrize("path", ["/moved", "/nothing", "/large"])
def test_what_is_no_document(issuer: str, path: str) -> None:
    with pytest.raises(KeysUnavailable):
        JwksReader(allow_local=True)(issuer + path)


def test_plain_http_is_of_this_machine_at_stage_local_alone(issuer: str) -> None:
    with pytest.raises(KeysUnavailable, match="https"):
        JwksReader()(f"{issuer}/keys?v=1")
    with pytest.raises(KeysUnavailable, match="https"):
        JwksReader(allow_local=True)("http://example.com/keys")


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1:1/keys", "https://127.0.0.1:99999/", "https:///", "file:///etc/hosts", "x"]
)
def test_what_does_not_answer(url: str) -> None:
    with pytest.raises(KeysUnavailable):
        JwksReader(allow_local=True)(url)
