"""Calls of the API: what may be repeated is repeated, what is refused is raised with its reason."""

import random
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx
import msgspec

from pushlane.model.errors import PushlaneError, StoreUnavailable

_SENDS_MAX: Final = 4
_FIRST_PAUSE_SECONDS: Final = 0.1
_PAUSE_SECONDS_MAX: Final = 5.0
# Above the longest that a claim waits.
TIMEOUT_SECONDS: Final = 29.0
_CONNECT_SECONDS: Final = 5.0
_AGAIN: Final = frozenset({429, 500, 502, 503, 504})
_REFUSED: Final = 400


class ApiRefused(PushlaneError):
    """The API refused a call, and repeating it cannot help. `code` is the problem document's, for programs."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail


class Transport:
    """`base_url` of the API and the agent's key. Calls are safe to repeat: each names what it is about. `client`,
    `sleep` and `chance` are replaced in tests.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        client: httpx.Client | None = None,
        sleep: Callable[[float], Any] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        timeout = httpx.Timeout(TIMEOUT_SECONDS, connect=_CONNECT_SECONDS)
        self._client = client or httpx.Client(base_url=base_url, timeout=timeout)
        self._headers = {"authorization": f"Bearer {api_key}"}
        self._sleep = sleep
        self._chance = chance

    def post(self, path: str, body: Mapping[str, Any], proof: str | None = None) -> Any:
        """The answer's JSON (None without any); raises `ApiRefused`, and `StoreUnavailable` when none got through."""
        found = self._send("POST", path, msgspec.json.encode(body), proof)
        return msgspec.json.decode(found) if found else None

    def put(self, path: str, body: bytes, proof: str | None = None) -> Any:
        """The same with bytes as they are."""
        found = self._send("PUT", path, body, proof)
        return msgspec.json.decode(found) if found else None

    def get(self, path: str, proof: str | None = None) -> bytes:
        """The answer's bytes."""
        return self._send("GET", path, b"", proof)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _send(self, method: str, path: str, body: bytes, proof: str | None) -> bytes:
        headers = {**self._headers, "content-type": "application/json"}
        if proof is not None:
            headers["pushlane-reservation"] = proof
        reason = ""
        for sent in range(_SENDS_MAX):
            pause_seconds = _FIRST_PAUSE_SECONDS * 2**sent * self._chance()
            try:
                answer = self._client.request(method, path, content=body, headers=headers)
            except httpx.TransportError as error:
                reason = f"{type(error).__name__}: {error}"
            else:
                if answer.status_code < _REFUSED:
                    return answer.content
                if answer.status_code not in _AGAIN:
                    raise _refusal(answer)
                reason = f"answered {answer.status_code}"
                pause_seconds = max(pause_seconds, _asked_seconds(answer))
            if sent + 1 < _SENDS_MAX:
                self._sleep(min(_PAUSE_SECONDS_MAX, pause_seconds))
        raise StoreUnavailable(f"{method} {path}: {reason}, {_SENDS_MAX} times")


def _asked_seconds(answer: httpx.Response) -> float:
    said = answer.headers.get("retry-after", "")
    return float(said) if said.isascii() and said.isdecimal() else 0.0


def _refusal(answer: httpx.Response) -> ApiRefused:
    try:
        said = msgspec.json.decode(answer.content, type=dict[str, Any])
    except msgspec.DecodeError:
        said = {}
    code = str(said.get("type", "")).rpartition(":")[2] or "refused"
    return ApiRefused(answer.status_code, code, str(said.get("detail", "no reason was given")))
