"""`MessageSender` and `FactSink` in memory."""

import heapq
import threading
from collections.abc import Callable, Sequence
from typing import Final

from pushlane.ports import Clock, Message, PublishedFact

MESSAGE_BYTES_MAX: Final = 1_048_576
FACT_BYTES_MAX: Final = 262_144
DELAY_SECONDS_MAX: Final = 900
DEDUPLICATION_MS: Final = 5 * 60 * 1_000

RefuseMessage = Callable[[str, Message], bool]
RefuseFact = Callable[[PublishedFact], bool]


class InMemorySender:
    """Queues by URL; a URL needs no creation. `refuse` plays an entry that the queue does not accept."""

    def __init__(self, clock: Clock, *, refuse: RefuseMessage | None = None) -> None:
        self._clock = clock
        self._refuse = refuse or (lambda _url, _message: False)
        self._queues: dict[str, list[tuple[int, int, Message]]] = {}
        self._accepted_ms: dict[tuple[str, str], int] = {}
        self._sent = 0
        self._lock = threading.Lock()

    def send(self, queue_url: str, messages: Sequence[Message]) -> list[int]:
        """See `MessageSender.send`; not accepted is what SQS would not: over 1 MB, empty, delayed over 900 s; with a
        deduplication id (for a FIFO queue) also what has a delay or no group.
        """
        return [index for index, message in enumerate(messages) if not self._accept(queue_url, message)]

    def _accept(self, queue_url: str, message: Message) -> bool:
        if not _fits(message) or self._refuse(queue_url, message):
            return False
        with self._lock:
            if self._is_repeat(queue_url, message):
                return True
            visible_ms = self._clock.now_ms() + message.delay_seconds * 1_000
            heapq.heappush(self._queues.setdefault(queue_url, []), (visible_ms, self._sent, message))
            self._sent += 1
        return True

    def _is_repeat(self, queue_url: str, message: Message) -> bool:
        """Whether a FIFO queue has accepted it in the last five minutes, whoever has taken it out since."""
        if message.deduplication_id is None:
            return False
        self._forget()
        key = (queue_url, message.deduplication_id)
        if key in self._accepted_ms:
            return True
        self._accepted_ms[key] = self._clock.now_ms()
        return False

    def _forget(self) -> None:
        # Accepted in the order of time, so what is too old to be a repeat stands in front.
        while self._accepted_ms:
            key, accepted_ms = next(iter(self._accepted_ms.items()))
            if self._clock.now_ms() < accepted_ms + DEDUPLICATION_MS:
                return
            del self._accepted_ms[key]

    def drain(self, queue_url: str, *, limit: int | None = None) -> list[Message]:
        """Take out up to `limit` messages whose delay is over, in the order in which they became visible."""
        taken: list[Message] = []
        with self._lock:
            queue = self._queues.get(queue_url, [])
            while queue and queue[0][0] <= self._clock.now_ms() and (limit is None or len(taken) < limit):
                taken.append(heapq.heappop(queue)[2])
        return taken

    def next_visible_ms(self) -> int | None:
        """When the next message of any queue is (or was) to be had; None when all queues are empty."""
        with self._lock:
            return min((queue[0][0] for queue in self._queues.values() if queue), default=None)

    def next_visible_of(self, queue_url: str) -> int | None:
        """When the next message of one queue is (or was) to be had; None when it is empty."""
        with self._lock:
            queue = self._queues.get(queue_url)
            return queue[0][0] if queue else None

    def queue_urls(self) -> list[str]:
        """The queues that hold messages, delayed ones included."""
        with self._lock:
            return sorted(url for url, queue in self._queues.items() if queue)


class InMemorySink:
    """Keeps what was published, in order. `refuse` plays a fact that the bus or the topic does not accept."""

    def __init__(self, *, refuse: RefuseFact | None = None) -> None:
        self._refuse = refuse or (lambda _fact: False)
        self._published: list[PublishedFact] = []
        self._lock = threading.Lock()

    @property
    def published(self) -> tuple[PublishedFact, ...]:
        with self._lock:
            return tuple(self._published)

    def publish(self, facts: Sequence[PublishedFact]) -> list[int]:
        """See `FactSink.publish`."""
        refused = [i for i, fact in enumerate(facts) if _size_bytes(fact) > FACT_BYTES_MAX or self._refuse(fact)]
        with self._lock:
            self._published += [fact for index, fact in enumerate(facts) if index not in refused]
        return refused


def _fits(message: Message) -> bool:
    if not 0 < len(message.body.encode()) <= MESSAGE_BYTES_MAX:
        return False
    if message.deduplication_id is not None:
        return message.group is not None and message.delay_seconds == 0
    return 0 <= message.delay_seconds <= DELAY_SECONDS_MAX


def _size_bytes(fact: PublishedFact) -> int:
    attributes = sum(
        len(name.encode()) + len("String") + len(value.encode()) for name, value in fact.attributes.items()
    )
    return len(fact.body.encode()) + attributes
