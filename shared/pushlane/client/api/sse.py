"""Server-Sent Events from bytes, as the WHATWG specification reads them, however the bytes are cut."""

import codecs
from collections.abc import Iterator

from msgspec import Struct

_BOM = "\ufeff"


class ServerEvent(Struct, frozen=True, kw_only=True):
    """One event. `event_id`: the last id that the stream has said."""

    kind: str
    data: str
    event_id: str


class SseParser:
    """Feed it bytes as they come; `retry_ms` is what the server last asked for."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._text = ""
        self._started = False
        self._data: list[str] = []
        self._kind = ""
        self.event_id = ""
        self.retry_ms: int | None = None

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """The events that are complete with this chunk."""
        self._text += self._decoder.decode(chunk)
        if not self._started and self._text:
            self._text, self._started = self._text.removeprefix(_BOM), True
        return [event for line in self._lines() if (event := self._line(line)) is not None]

    def _lines(self) -> Iterator[str]:
        """Complete lines. A carriage return at the end may be half of a line's end, so it waits for what follows."""
        while True:
            ends = [place for mark in "\r\n" if (place := self._text.find(mark)) >= 0]
            if not ends:
                return
            end = min(ends)
            if self._text[end] == "\r" and end + 1 == len(self._text):
                return
            width = 2 if self._text[end : end + 2] == "\r\n" else 1
            line, self._text = self._text[:end], self._text[end + width :]
            yield line

    def _line(self, line: str) -> ServerEvent | None:
        if not line:
            return self._dispatched()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "data":
                self._data.append(value)
            case "event":
                self._kind = value
            case "id" if "\0" not in value:
                self.event_id = value
            case "retry" if value.isascii() and value.isdigit():
                self.retry_ms = int(value)
        return None

    def _dispatched(self) -> ServerEvent | None:
        data, kind = self._data, self._kind
        self._data, self._kind = [], ""
        if not data:
            return None
        return ServerEvent(kind=kind or "message", data="\n".join(data), event_id=self.event_id)
