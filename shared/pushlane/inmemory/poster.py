"""`Poster` in memory."""

import threading
from collections.abc import Callable, Sequence

from pushlane.model.live import Connection
from pushlane.ports import Frame, Posted


class InMemoryPoster:
    """Connections by id; one has to be opened first, as a client does it. `answer` plays what becomes of a frame:
    whatever it says but DELIVERED, the frame is not received.
    """

    def __init__(self, *, answer: Callable[[Frame], Posted] | None = None) -> None:
        self._answer = answer or (lambda _frame: Posted.DELIVERED)
        self._received: dict[str, list[bytes]] = {}
        self._lock = threading.Lock()

    def open(self, connection_id: str) -> None:
        """A client has connected."""
        with self._lock:
            self._received[connection_id] = []

    def is_open(self, connection_id: str) -> bool:
        return connection_id in self._received

    def take(self, connection_id: str) -> list[bytes]:
        """Take out what a connection has received, in order."""
        with self._lock:
            taken = self._received.get(connection_id, [])
            if taken:
                self._received[connection_id] = []
            return taken

    def post(self, frames: Sequence[Frame]) -> list[Posted]:
        """See `Poster.post`."""
        return [self._post(frame) for frame in frames]

    def close(self, connection: Connection) -> None:
        """See `Poster.close`; also how a test's client goes away."""
        with self._lock:
            self._received.pop(connection.connection_id, None)

    def _post(self, frame: Frame) -> Posted:
        with self._lock:
            received = self._received.get(frame.connection.connection_id)
            if received is None:
                return Posted.GONE
            answer = self._answer(frame)
            if answer is Posted.DELIVERED:
                received.append(frame.body)
            return answer
