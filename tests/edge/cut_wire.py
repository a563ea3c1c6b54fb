"""A TCP proxy whose connections can be cut in the middle: what a lost network does to a watcher."""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_HOST: Final = "127.0.0.1"
_CHUNK: Final = 65_536
# Close at once with a reset, and forget what was not sent: no polite end.
_RESET: Final = struct.pack("ii", 1, 0)


class Wire:
    """Forwards to one port of this machine. `cut` breaks every connection; `cut_behind` breaks the next answer with a
    mark in it, just there. (Not in its headers: what browsers make of half a header is their own affair.)
    """

    def __init__(self, to_port: int) -> None:
        self._to = (_HOST, to_port)
        self._listening = socket.create_server((_HOST, 0))
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()
        self._mark: tuple[bytes, int] | None = None
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        port: int = self._listening.getsockname()[1]
        return port

    @property
    def connections(self) -> int:
        """How many are open now."""
        with self._lock:
            return len(self._pairs)

    def cut(self) -> int:
        """Break every open connection, both sides; returns how many there were."""
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            self._break(pair)
        return len(pairs)

    def cut_behind(self, mark: bytes, size_bytes: int) -> None:
        """Break the connection that brings the next answer with `mark` in it, so many bytes behind the mark."""
        with self._lock:
            self._mark = (mark, size_bytes)

    def close(self) -> None:
        self._listening.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listening.accept()
            except OSError:
                return  # closed
            called = socket.create_connection(self._to)
            pair = (caller, called)
            with self._lock:
                self._pairs.add(pair)
            for source, target, answers in ((caller, called, False), (called, caller, True)):
                threading.Thread(target=self._forward, args=(pair, source, target, answers), daemon=True).start()

    def _forward(
        self, pair: tuple[socket.socket, socket.socket], source: socket.socket, target: socket.socket, answers: bool
    ) -> None:
        with contextlib.suppress(OSError):  # the other direction broke, or was cut
            while data := source.recv(_CHUNK):
                allowed = self._allowed(data) if answers else len(data)
                target.sendall(data[:allowed])
                if allowed < len(data):
                    self._break(pair)
                    return
        self._end(pair)

    def _allowed(self, data: bytes) -> int:
        with self._lock:
            mark, size_bytes = self._mark or (b"", 0)
            if not mark or mark not in data:
                return len(data)
            self._mark = None
            return min(len(data) - 1, data.index(mark) + len(mark) + size_bytes)

    def _break(self, pair: tuple[socket.socket, socket.socket]) -> None:
        self.cuts += 1
        for one in pair:
            with contextlib.suppress(OSError):  # closed by its other side meanwhile
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._end(pair)

    def _end(self, pair: tuple[socket.socket, socket.socket]) -> None:
        with self._lock:
            self._pairs.discard(pair)
        for one in pair:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@contextmanager
def wire(to_port: int) -> Iterator[Wire]:
    """A proxy to a port of this machine, for the length of a block."""
    opened = Wire(to_port)
    try:
        yield opened
    finally:
        opened.close()
