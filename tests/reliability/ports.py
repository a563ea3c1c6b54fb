"""The ports of the simulated handlers: the in-memory ones, with everything that can go wrong at a call of them."""

from collections.abc import Callable, Sequence
from typing import Final, NoReturn, Protocol, TypeVar

from pushlane.inmemory import InMemoryBlobs, InMemoryItemStore
from pushlane.inmemory.channels import DELAY_SECONDS_MAX, FACT_BYTES_MAX, MESSAGE_BYTES_MAX
from pushlane.model.errors import StoreUnavailable
from pushlane.ports import (
    Attributes,
    CancelReason,
    Item,
    Key,
    Message,
    PublishedFact,
    Table,
    Write,
)
from tests.reliability.chance import Chance
from tests.reliability.faults import Fault, Injector, conflict
from tests.reliability.handlers import HELD
from tests.reliability.strands import Crashed

Answer = TypeVar("Answer")
# Little steps aside, so what does is refused more often than chance would have it.
_NO_ROOM: Final = 0.25


class BlobUnavailable(OSError):
    """The object store did not answer; its client's errors are none of Pushlane's."""


class Surroundings(Protocol):
    """What the ports need of the world."""

    chance: Chance
    injector: Injector

    def called(self) -> None:
        """A handler is about to call a port; others may run first. Raises `Crashed` when its process has died."""
        ...

    def slip_in(self) -> bool:
        """Another handler runs now, wholly; says whether there was one."""
        ...

    def stall(self) -> bool:
        """The handler stands still for a while; says whether it could."""
        ...

    def committing(self, operations: Sequence[Write]) -> None:
        """These are about to be applied; something else may happen first."""
        ...

    def settled(self) -> None:
        """A write was applied: the invariants are looked at."""
        ...

    def deliver(self, queue_url: str, message: Message) -> None: ...

    def publish(self, facts: Sequence[PublishedFact]) -> None: ...


class Calls:
    """What happens around every call."""

    def __init__(self, world: Surroundings) -> None:
        self._world = world

    def before(self, call: str) -> Fault | None:
        """The fault of this call; raises those that come before it."""
        self._world.called()
        fault = self._world.injector.choose(call)
        if fault is None:
            return None
        if fault is Fault.SLIPPED_IN or fault is Fault.STALLED:
            happened = self._world.slip_in() if fault is Fault.SLIPPED_IN else self._world.stall()
            self._world.injector.count(fault, int(happened))
            return None
        self._world.injector.count(fault)
        if fault is Fault.CRASH_BEFORE:
            raise Crashed
        if fault is Fault.THROTTLED:
            raise StoreUnavailable(f"{call}: throttled every time; nothing was applied")
        return fault

    def after(self, call: str, fault: Fault | None) -> None:
        """Raises those that come after it."""
        if fault is Fault.CRASH_AFTER:
            raise Crashed
        if fault is Fault.ANSWER_LOST:
            self._lost(call)

    def _lost(self, call: str) -> NoReturn:
        raise StoreUnavailable(f"{call}: the answer was lost after it was applied")


class FaultyStore:
    """`ItemStore`."""

    def __init__(self, inner: InMemoryItemStore, calls: Calls, world: Surroundings) -> None:
        self._inner = inner
        self._calls = calls
        self._world = world

    def get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        fault = self._calls.before("store.get")
        found = self._inner.get(keys)
        self._calls.after("store.get", fault)
        return found

    def query(self, table: Table, pk: str, *, index: str | None = None, limit: int, start: str = "") -> list[Item]:
        fault = self._calls.before("store.query")
        found = self._inner.query(table, pk, index=index, limit=limit, start=start)
        self._calls.after("store.query", fault)
        return found

    def write(self, operation: Write) -> Attributes:
        fault = self._calls.before("store.write")
        self._world.committing((operation,))
        answer = self._applied(lambda: self._inner.write(operation))
        if fault is Fault.SENT_TWICE:  # and meets its own effect
            answer = self._applied(lambda: self._inner.write(operation))
        self._calls.after("store.write", fault)
        return answer

    def transact(self, operations: Sequence[Write], token: str) -> None:
        fault = self._calls.before("store.transact")
        if fault is Fault.CONFLICT or fault is Fault.TRANSACTION_THROTTLED:
            reason = CancelReason.CONFLICT if fault is Fault.CONFLICT else CancelReason.THROTTLED
            raise conflict(len(operations), self._world.chance, reason)
        self._world.committing(operations)
        self._applied(lambda: self._inner.transact(operations, token))
        if fault is Fault.SENT_TWICE:
            self._applied(lambda: self._inner.transact(operations, token))
        self._calls.after("store.transact", fault)

    def _applied(self, call: Callable[[], Answer]) -> Answer:
        answer = call()
        self._world.settled()
        return answer


class FaultySender:
    """`MessageSender`: what is accepted lies in the world's queues."""

    def __init__(self, calls: Calls, world: Surroundings) -> None:
        self._calls = calls
        self._world = world

    def send(self, queue_url: str, messages: Sequence[Message]) -> list[int]:
        fault = self._calls.before("sender.send")
        every = range(len(messages))
        refused = [index for index in every if not _fits(messages[index])]
        if fault is None and queue_url == HELD and self._world.injector.active and self._world.chance.hit(_NO_ROOM):
            fault = Fault.SEND_REFUSED
            self._world.injector.count(fault)
        if fault is Fault.SEND_REFUSED:
            refused = list(every)
        elif fault is Fault.SEND_PARTLY_REFUSED:
            refused = sorted({*refused, *self._world.chance.some(every)})
        for index in every:
            if index not in refused:
                self._world.deliver(queue_url, messages[index])
        self._calls.after("sender.send", fault)
        return list(every) if fault is Fault.SEND_UNACKNOWLEDGED else refused


def _fits(message: Message) -> bool:
    return 0 < len(message.body.encode()) <= MESSAGE_BYTES_MAX and 0 <= message.delay_seconds <= DELAY_SECONDS_MAX


class FaultySink:
    """`FactSink`."""

    def __init__(self, calls: Calls, world: Surroundings) -> None:
        self._calls = calls
        self._world = world

    def publish(self, facts: Sequence[PublishedFact]) -> list[int]:
        if not facts:
            return []
        fault = self._calls.before("sink.publish")
        refused = [index for index, fact in enumerate(facts) if len(fact.body) > FACT_BYTES_MAX]
        if fault is Fault.FACTS_REFUSED:
            refused = self._world.chance.some(range(len(facts)))
        self._world.publish([fact for index, fact in enumerate(facts) if index not in refused])
        self._calls.after("sink.publish", fault)
        return list(range(len(facts))) if fault is Fault.FACTS_UNACKNOWLEDGED else refused


class FaultyBlobs:
    """`BlobStore`; `failed` is what a failing one raises: that of turns speaks as the store does, that of agents lets
    its client's errors through.
    """

    def __init__(self, inner: InMemoryBlobs, calls: Calls, failed: type[StoreUnavailable | BlobUnavailable]) -> None:
        self._inner = inner
        self._calls = calls
        self._failed = failed

    def put(self, key: str, body: bytes) -> None:
        fault = self._before("blobs.put")
        self._inner.put(key, body)
        self._after("blobs.put", fault)

    def get(self, key: str) -> bytes:
        fault = self._before("blobs.get")
        body = self._inner.get(key)
        self._after("blobs.get", fault)
        return body

    def _before(self, call: str) -> Fault | None:
        fault = self._calls.before(call)
        if fault is Fault.BLOB_FAILED:
            raise self._failed(f"{call}: the object store is unavailable")
        return fault

    def _after(self, call: str, fault: Fault | None) -> None:
        self._calls.after(call, fault)
        if fault is Fault.BLOB_UNACKNOWLEDGED:
            raise self._failed(f"{call}: the answer was lost")
