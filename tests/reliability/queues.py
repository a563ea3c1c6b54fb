"""Queues with the semantics of SQS: at least once, in no order, invisible while somebody works on a batch."""

from collections.abc import Iterable

from tests.reliability.chance import Chance


class Queued:
    """One message. `order`: which it was among all that were ever sent."""

    __slots__ = ("body", "message_id", "order", "receives", "visible_ms")

    def __init__(self, message_id: str, body: str, visible_ms: int, order: int) -> None:
        self.message_id = message_id
        self.body = body
        self.visible_ms = visible_ms
        self.order = order
        self.receives = 0


class Queue:
    """A batch that is taken stays until it is removed; whoever dies with it gives it back by saying nothing."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.messages: dict[str, Queued] = {}
        self._next_ms: int | None = None

    @property
    def next_ms(self) -> int | None:
        """When the next message is to be had; None when there is none."""
        if self._next_ms is None and self.messages:
            self._next_ms = min(one.visible_ms for one in self.messages.values())
        return self._next_ms

    def put(self, message: Queued) -> None:
        self.messages[message.message_id] = message
        self._moved(message.visible_ms)

    def take(self, now_ms: int, limit: int, chance: Chance, *, shuffled: bool) -> list[Queued]:
        """Up to `limit` visible messages, the oldest or any."""
        visible = [one for one in self.messages.values() if one.visible_ms <= now_ms]
        if shuffled and len(visible) > 1:
            first = chance.between(1, len(visible) - 1)
            visible = visible[first:] + visible[:first]
        return visible[:limit]

    def hide(self, messages: Iterable[Queued], until_ms: int) -> None:
        """Nobody else gets them until then."""
        for one in messages:
            one.visible_ms = until_ms
        self._next_ms = None

    def remove(self, message_ids: Iterable[str]) -> None:
        for message_id in message_ids:
            self.messages.pop(message_id, None)
        self._next_ms = None

    def show(self, message_ids: Iterable[str], at_ms: int) -> None:
        """They are to be had again at `at_ms`, if they are still there."""
        for message_id in message_ids:
            if message_id in self.messages:
                self.messages[message_id].visible_ms = at_ms
        self._next_ms = None

    def _moved(self, visible_ms: int) -> None:
        if self._next_ms is None and len(self.messages) == 1:
            self._next_ms = visible_ms
        elif self._next_ms is not None:
            self._next_ms = min(self._next_ms, visible_ms)
