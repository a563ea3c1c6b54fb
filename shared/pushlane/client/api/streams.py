"""What can be followed, how it is asked for over either transport, and what a lost stream means. No connection here."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.client.api.errors import ApiError, RateLimited, Unavailable, error_of
from pushlane.client.api.exchange import Answer, Call, path_of
from pushlane.client.api.sse import SseParser
from pushlane.client.api.watching import Seen, StreamBroken, Watching

_NO_CONTENT: Final = 204
REFUSED_FROM: Final = 300
_ERROR: Final = "error"
_SUBSCRIBE: Final = "subscribe"


class Transport(StrEnum):
    """How a stream comes: Server-Sent Events in bounded long polls, or one WebSocket."""

    SSE = "sse"
    WEBSOCKET = "websocket"


class Stream(Struct, frozen=True):
    """What is followed: a `task`, a `workflow` or the feed of a `tenant`."""

    kind: str
    subject_id: str

    @property
    def log(self) -> str:
        """Its name in what comes."""
        return f"FEED#{self.subject_id}" if self.kind == "tenant" else self.subject_id

    def path(self, **query: Any) -> str:
        """Where it is asked for. A tenant is named, for principals of the installation."""
        if self.kind == "tenant":
            return path_of("v1", "events", query={**query, "tenant": self.subject_id})
        return path_of("v1", f"{self.kind}s", self.subject_id, "events", query=query)


class Following:
    """One watch over any number of connections. A shell asks for `sse_call()` or `subscription()`, hands on what comes,
    and after each connection waits for `pause_seconds`.
    """

    def __init__(self, stream: Stream, watching: Watching) -> None:
        self._stream = stream
        self._watching = watching
        self._parser = SseParser()
        self.over = False

    @property
    def after(self) -> int:
        return self._watching.after

    @property
    def begun(self) -> bool:
        """Something was seen before: then the end may have been, too."""
        return self._watching.begun

    def sse_call(self) -> Call:
        """The call that asks for what follows."""
        self._parser = SseParser()
        resumed = {"last-event-id": str(self.after)} if self.begun else {}
        return Call(
            method="GET",
            path=self._stream.path(),
            headers={"accept": "text/event-stream", **resumed},
        )

    def look_call(self) -> Call:
        """The call that asks, without waiting, whether there is anything left."""
        path = self._stream.path(after=self.after, limit=1, wait_seconds=0)
        return Call(method="GET", path=path, headers={"accept": "application/json"})

    def looked(self, answer: Answer) -> None:
        """Takes what `look_call` was answered; raises the refusal."""
        self.answered(answer.status, answer)
        if answer.status != _NO_CONTENT:
            page = msgspec.json.decode(answer.body, type=_Page)
            self.over = self.over or (page.ended and not page.events and not page.expired)

    def answered(self, status: int, answer: Answer | None = None) -> None:
        """Takes the status of a stream's answer; raises the refusal that it is, with the body in `answer`."""
        if status == _NO_CONTENT:
            self.over = True
        elif status >= REFUSED_FROM:
            raise error_of(answer or Answer(status=status))

    def chunk(self, data: bytes) -> list[Seen]:
        """What a piece of the answer adds; raises `StreamBroken`."""
        seen: list[Seen] = []
        for event in self._parser.feed(data):
            one = self._watching.of_sse(event)
            if one is not None:
                seen.append(one)
            if self._watching.over:
                self.over = True
                break
        return seen

    def subscription(self) -> str:
        """The first message over a WebSocket."""
        said = {"action": _SUBSCRIBE, "stream": self._stream.kind, "id": self._stream.subject_id, "after": self.after}
        return msgspec.json.encode(said).decode()

    def frame(self, data: str | bytes) -> list[Seen]:
        """What a WebSocket's frame adds; raises `StreamBroken`, and the refusal of the subscription."""
        refusal = _refusal(data)
        if refusal is not None:
            raise refusal
        seen = self._watching.of_frame(data)
        self.over = self._watching.over
        return seen

    def closed(self) -> float:
        """The answer came to its end: how many seconds to wait before asking again."""
        self._watching.asks_to_retry(self._parser.retry_ms)
        return self._watching.pause_seconds(failed=False)

    def lost(self, error: Exception) -> float:
        """The connection failed: how many seconds to wait; raises what no other connection can mend."""
        if isinstance(error, ApiError) and not isinstance(error, Unavailable | RateLimited):
            raise error
        asked = error.retry_after_seconds if isinstance(error, ApiError) else None
        return self._watching.pause_seconds(failed=True, asked_seconds=asked)


class _Page(Struct, frozen=True):
    events: tuple[msgspec.Raw, ...] = ()
    ended: bool = False
    expired: bool = False


class _Status(Struct, frozen=True):
    status: int = 500


class _Refusal(Struct, frozen=True):
    type: str = ""
    action: str = ""
    problem: msgspec.Raw = msgspec.Raw(b"{}")


def _refusal(data: str | bytes) -> ApiError | None:
    """The refusal of the subscription that a frame is."""
    try:
        said = msgspec.json.decode(data, type=_Refusal)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StreamBroken(f"a frame that cannot be read: {error}") from error
    if said.type != _ERROR or said.action not in ("", _SUBSCRIBE):
        return None
    body = bytes(said.problem)
    return error_of(Answer(status=msgspec.json.decode(body, type=_Status).status, body=body))


def following(stream: Stream, after: int, random: Callable[[], float], *, rest_too: bool = False) -> Following:
    """The state of a new watch."""
    return Following(stream, Watching(stream.log, after=after, random=random, rest_too=rest_too))
