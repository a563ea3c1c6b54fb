"""Read an issuer's JWKS document. The URL is an operator's own, so it may lie in a private network; it is https."""

import http.client
from typing import Final
from urllib.parse import urlsplit

from pushlane.model.issuer import KeysUnavailable

TIMEOUT_SECONDS: Final = 3.0
BYTES_MAX: Final = 256 * 1024
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_OK: Final = 200


class JwksReader:
    """Reads over https; with `allow_local`, at stage `local` alone, also over http from this machine."""

    def __init__(self, *, allow_local: bool = False) -> None:
        self._allow_local = allow_local

    def __call__(self, url: str) -> bytes:
        """The document, in one request without redirects; raises `KeysUnavailable`."""
        try:
            return self._read(url)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise KeysUnavailable(f"{url}: {type(error).__name__}: {error}") from error

    def _read(self, url: str) -> bytes:
        parts = urlsplit(url)
        connection = self._connection(parts.scheme, parts.hostname or "", parts.port)
        try:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", path, headers={"Accept": "application/json", "User-Agent": "pushlane/1"})
            answer = connection.getresponse()
            if answer.status != _OK:
                raise KeysUnavailable(f"{url}: answered {answer.status}; give the URL of the document itself")
            body = answer.read(BYTES_MAX + 1)
        finally:
            connection.close()
        if len(body) > BYTES_MAX:
            raise KeysUnavailable(f"{url}: more than {BYTES_MAX} bytes")
        return body

    def _connection(self, scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
        if scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_SECONDS)
        if scheme == "http" and self._allow_local and host in _LOOPBACK:
            return http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
        raise KeysUnavailable(f"{scheme}://{host}: keys of issuers are read over https")
