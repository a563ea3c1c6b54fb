"""What the sync and the async client share: how calls are addressed, signed, timed and read. No connection here."""

import random
import re
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from pushlane.client.api import calls
from pushlane.client.api.errors import ApiError, Invalid, NotFound, Unexpected, error_of, no_answer
from pushlane.client.api.exchange import Answer, Ask, Call
from pushlane.client.api.retrying import Retrying, Sending
from pushlane.client.api.streams import REFUSED_FROM
from pushlane.client.api.views import Batch, Refused, Submitted

T = TypeVar("T")

Part = tuple[int, list[Mapping[str, Any]]]

# A batch of calls stays under what the API takes in one body (4 MiB), its keys and commas included.
BATCH_BYTES_MAX: Final = 3 * 1024 * 1024
_TENANT: Final = re.compile(r"[?&]tenant=")
# Longer than a poll of the API; a WebSocket that is silent for so long is asked whether anybody is there.
SILENCE_SECONDS: Final = 45.0
LOOK_AGAIN_SECONDS: Final = 0.5
PING: Final = '{"action":"ping"}'


def _new_key() -> str:
    return uuid.uuid4().hex


class Place(Struct, frozen=True, kw_only=True):
    """Where the API is and who speaks. `credential`: an API key or a JWT. `websocket_url`: of the WebSocket API.
    `tenant`: whom an operator of the installation speaks for; everybody else's credential says it.
    """

    url: str
    credential: str
    websocket_url: str | None = None
    tenant: str | None = None

    def __repr__(self) -> str:
        return f"Place({self.url!r})"  # the credential stays out of logs and tracebacks


class Core:
    """The rules of one client. Clock, randomness and keys are replaced in tests."""

    def __init__(
        self,
        place: Place,
        retrying: Retrying,
        *,
        now: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random.random,
        new_key: Callable[[], str] = _new_key,
    ) -> None:
        if not place.url.startswith(("https://", "http://")):
            raise ValueError(f"url: {place.url!r} is no address of an API, as https://api.example.com")
        self._place = place
        self._retrying = retrying
        self.now = now
        self.random = random
        self.new_key = new_key

    def url_of(self, call: Call) -> str:
        url = self._place.url.rstrip("/") + call.path
        if self._place.tenant is None or _TENANT.search(call.path):
            return url
        return f"{url}{'&' if '?' in call.path else '?'}{urlencode({'tenant': self._place.tenant})}"

    def headers_of(self, call: Call) -> dict[str, str]:
        return {"accept": "application/json", **self.authorization, **call.headers}

    @property
    def authorization(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._place.credential}"}

    @property
    def websocket_url(self) -> str:
        """Where streams come over a WebSocket; raises `ValueError` when the client was not told."""
        if self._place.websocket_url is None:
            raise ValueError("watching over a WebSocket needs the WebSocket API: Client(..., websocket_url=...)")
        return self._place.websocket_url

    def sending(self, call: Call) -> Sending:
        return Sending(call, self._retrying, self.now, self.random)

    def until(self, timeout_seconds: float | None) -> float:
        """The moment of a timeout, on the client's own clock."""
        return float("inf") if timeout_seconds is None else self.now() + timeout_seconds


def outcome(ask: Ask[T], answer: Answer, sends: int) -> T:
    """What the answer says; raises the error that it is."""
    if answer.status >= REFUSED_FROM:
        error = error_of(answer)
        if isinstance(error, NotFound) and sends > 1 and ask.gone is not None:
            return ask.gone()
        raise error
    try:
        return ask.read(answer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        detail = f"an answer that this version cannot read: {error}"
        raise Unexpected(answer.status, "unreadable", detail) from error


class Many:
    """Many tasks on their way. A part that the API refuses to read is halved until the task is alone that it is about:
    the others go on, under the keys that they had.
    """

    def __init__(self, tasks: Iterable[Mapping[str, Any]], stem: str) -> None:
        self._parts = deque(batches(tasks))
        self._stem = stem
        self._accepted: list[Submitted] = []
        self._refused: list[Refused] = []

    def next(self) -> tuple[Part, Ask[Batch]] | None:
        """The next part and its call; None at the end."""
        if not self._parts:
            return None
        first, some = part = self._parts.popleft()
        try:
            return part, calls.submit_batch(some, self._stem, first)
        except Invalid as error:  # what is no JSON is found before it is sent
            self.refused(part, error)
            return self.next()

    def done(self, batch: Batch) -> None:
        self._accepted += batch.accepted
        self._refused += batch.refused

    def refused(self, part: Part, error: ApiError) -> None:
        """The part was refused as a whole."""
        first, some = part
        if len(some) == 1:
            self._refused.append(calls.refused_alone(error, some[0], self._stem, first))
            return
        half = len(some) // 2
        self._parts.extendleft([(first + half, some[half:]), (first, some[:half])])

    def batch(self) -> Batch:
        return Batch(accepted=tuple(self._accepted), refused=tuple(self._refused))


def batches(tasks: Iterable[Mapping[str, Any]]) -> Iterator[Part]:
    """Tasks in lists that one call takes, each with the place of its first."""
    first, held, size = 0, list[Mapping[str, Any]](), 0
    for place, task in enumerate(tasks):
        bytes_ = _size(task)
        if held and (len(held) == calls.BATCH_MAX or size + bytes_ > BATCH_BYTES_MAX):
            yield first, held
            first, held, size = place, [], 0
        held.append(task)
        size += bytes_
    if held:
        yield first, held


def handshake_error(error: Exception) -> ApiError:
    """The refusal that a WebSocket's handshake met, or that nobody answered it."""
    from websockets.exceptions import InvalidStatus

    if isinstance(error, InvalidStatus):
        response = error.response
        return error_of(Answer(status=response.status_code, body=bytes(response.body or b"")))
    return no_answer(f"{type(error).__name__}: {error}")


def _size(task: Mapping[str, Any]) -> int:
    try:
        return len(msgspec.json.encode(task))
    except (TypeError, ValueError, RecursionError):
        return 0  # it cannot be sent: its own call says so
