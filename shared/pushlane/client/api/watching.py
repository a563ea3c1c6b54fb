"""Following a stream over any number of connections: what is new, what is a repeat, where to go on, when it is over."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.client.api.sse import ServerEvent
from pushlane.model.errors import PushlaneError
from pushlane.model.events import FactName
from pushlane.model.timeline import LoggedEvent

EXPIRED: Final = "expired"
_EVENTS: Final = "events"
_GROWTH: Final = 2.0


class Expired(Struct, frozen=True, kw_only=True):
    """Events between what was seen and what is kept are gone; `snapshot` is what they led to. The stream goes on after
    the sequence `last`.
    """

    last: int
    stream: str = ""
    snapshot: Any = None


Seen = LoggedEvent | Expired


class StreamBroken(PushlaneError):
    """What came cannot follow on what was there: the connection is given up, and the next goes on where it was."""


class Rejoining(Struct, frozen=True, kw_only=True):
    """How soon a lost stream is asked for again: at once the first time, then after growing pauses with full jitter,
    until something comes.
    """

    base_seconds: float = 0.1
    pause_seconds_max: float = 10.0


class Watching:
    """The state of one watch. `after`: the last sequence that was handed on; `begun`: it is more than a beginning.
    `rest_too`: a task that is dead-lettered ends it too, since nothing more comes by itself.
    """

    def __init__(
        self,
        stream: str,
        *,
        after: int,
        random: Callable[[], float],
        rest_too: bool = False,
        rules: Rejoining | None = None,
    ) -> None:
        self.stream = stream
        self.after = after
        self.over = False
        self.begun = after > 0
        self._expired_at: int | None = None
        self._rest_too = rest_too
        self._random = random
        self._rules = rules or Rejoining()
        self._failures = 0
        self._retry_seconds = 0.0

    def of_sse(self, event: ServerEvent) -> Seen | None:
        """What an event of the stream adds; None for a repeat. Raises `StreamBroken`."""
        kind: type[Seen] = Expired if event.kind == EXPIRED else LoggedEvent
        try:
            said = msgspec.json.decode(event.data, type=kind)
        except (msgspec.DecodeError, RecursionError) as error:
            raise StreamBroken(f"an event that cannot be read: {error}") from error
        return self._take(said)

    def of_frame(self, frame: str | bytes) -> list[Seen]:
        """What a WebSocket frame adds. Frames of other streams, and words that are not events, are passed over."""
        try:
            said = msgspec.json.decode(frame, type=_Frame)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise StreamBroken(f"a frame that cannot be read: {error}") from error
        if said.type == EXPIRED and said.stream == self.stream:
            gone = Expired(last=said.last, stream=said.stream, snapshot=said.snapshot)
            return [seen for seen in [self._take(gone)] if seen is not None]
        if said.type != _EVENTS or said.stream != self.stream:
            return []
        return [seen for one in said.events if (seen := self._take(one)) is not None]

    def asks_to_retry(self, retry_ms: int | None) -> None:
        """The server says how soon to ask again."""
        if retry_ms is not None:
            self._retry_seconds = retry_ms / 1_000

    def pause_seconds(self, *, failed: bool, asked_seconds: float | None = None) -> float:
        """How long to wait before the stream is asked for again. `asked_seconds`: what a refusal asked for."""
        if not failed:
            self._failures = 0
            return self._retry_seconds
        ceiling = min(self._rules.pause_seconds_max, self._rules.base_seconds * _GROWTH**self._failures)
        self._failures += 1
        return max(self._random() * ceiling, asked_seconds or 0.0)

    def _take(self, said: Seen) -> Seen | None:
        if isinstance(said, Expired):
            if self._expired_at == said.last:
                return None  # nothing has come since it was said
            self._expired_at = said.last
            self._on(said.last)
            return said
        if said.sequence <= self.after:
            return None
        if said.sequence != self.after + 1:
            raise StreamBroken(f"event {said.sequence} came after {self.after}: some are missing")
        self._expired_at = None
        self._on(said.sequence)
        if said.task_id == self.stream and (said.ends or (self._rest_too and said.kind == _DEAD)):
            self.over = True  # whatever is told behind it
        return said

    def _on(self, sequence: int) -> None:
        self.after = sequence
        self.begun = True
        self._failures = 0


class _Frame(Struct, frozen=True, kw_only=True):
    type: str = ""
    stream: str = ""
    events: tuple[LoggedEvent, ...] = ()
    last: int = 0
    snapshot: Any = None


_DEAD: Final = FactName.TASK_DEAD_LETTERED
