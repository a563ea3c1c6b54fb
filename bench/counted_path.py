"""A whole Pushlane in memory whose every call of AWS is counted, with the units that it would be billed.

The handlers are the real ones (`pushlane.testing`); each call of a port is one of AWS, as the adapters of
`pushlane.aws` make it. Each is counted at the step that made it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from msgspec import Struct

from bench.log_lines import line_bytes, metric_bytes
from bench.units import WriteUnits, get_units, query_units, refused_units, write_units
from pushlane.inmemory import ChangeListener, Faults, InMemoryItemStore, InMemorySender, InMemorySink, ManualClock
from pushlane.ports import (
    Attributes,
    Change,
    Clock,
    ConditionFailed,
    Delete,
    Item,
    Key,
    Message,
    PublishedFact,
    Put,
    Table,
    TransactionCancelled,
    Update,
    Write,
)
from pushlane.router.sweep import Swept
from pushlane.state import keys
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.deliveries import HELD, RESULTS, WAKEUPS

LOG: Final = "log"
_BATCH: Final = 10
# A hop takes time. Were all in the same millisecond, an index keyed by a time would not move, and be counted too low.
_HOP_MS: Final = 20
_MESSAGE_UNIT_BYTES: Final = 65_536

# What an item is, by the beginnings of its keys.
_KINDS: Final = (
    (Table.TASKS, "", "", "task"),
    (Table.ATTEMPTS, "", "", "attempt"),
    (Table.SCHEDULER, "POOL#", keys.AGENT_PREFIX, "agent"),
    (Table.SCHEDULER, "POOL#", keys.TIER_PREFIX, "tier"),
    (Table.SCHEDULER, "POOL#", "", "shape, wake-up"),
    (Table.SCHEDULER, "LANES#", "", "lane"),
    (Table.SCHEDULER, "Q#", "", "entry"),
    (Table.SCHEDULER, "ACCOUNT#", "", "account"),
)


class Line(Struct, order=True, frozen=True):
    """What was called: `step` is the handler, `operation` the call, `target` an item's kind, a queue or a channel.
    What it logs is a line too, with bytes and no calls.
    """

    step: str
    operation: str
    target: str


class Tally(Struct):
    """How often, and what it costs. `entries`: items, messages or facts in those calls."""

    calls: float = 0
    entries: float = 0
    write_units: float = 0
    index_units: float = 0
    read_units: float = 0
    requests: float = 0
    log_bytes: float = 0


class Ledger:
    """Everything that was called, by line."""

    def __init__(self) -> None:
        self.step = "set-up"
        self.lines: dict[Line, Tally] = {}

    def at(self, operation: str, target: str) -> Tally:
        return self.lines.setdefault(Line(self.step, operation, target), Tally())

    @contextmanager
    def during(self, step: str) -> Iterator[None]:
        before, self.step = self.step, step
        try:
            yield
        finally:
            self.step = before


def kind_of(key: Key) -> str:
    """What an item is; of tables that are not told apart here, the table's name."""
    for table, pk, sk, kind in _KINDS:
        if key.table is table and key.pk.startswith(pk) and key.sk.startswith(sk):
            return kind
    return str(key.table)


class CountedStore(InMemoryItemStore):
    """Counts every call with its units."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        *,
        faults: Faults | None = None,
        change_listener: ChangeListener | None = None,
    ) -> None:
        super().__init__(clock, faults=faults, change_listener=change_listener)
        self.ledger = ledger

    def get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        """See `ItemStore.get`."""
        found = super().get(keys)
        of_kind = ", ".join(sorted({kind_of(key) for key in keys}))
        one = self.ledger.at("GetItem" if len(set(keys)) == 1 else "BatchGetItem", of_kind)
        one.calls += 1
        one.entries += len(set(keys))
        one.read_units += get_units(keys, found.values())
        return found

    def query(self, table: Table, pk: str, *, index: str | None = None, limit: int, start: str = "") -> list[Item]:
        """See `ItemStore.query`."""
        found = super().query(table, pk, index=index, limit=limit, start=start)
        one = self.ledger.at("Query", kind_of(Key(table, pk, "-")))
        one.calls += 1
        one.entries += len(found)
        one.read_units += query_units(found)
        return found

    def write(self, operation: Write) -> Attributes:
        """See `ItemStore.write`."""
        old = self._stored(operation.key)
        one = self.ledger.at(_CALLED[type(operation)], kind_of(operation.key))
        one.calls += 1
        try:
            answer = super().write(operation)
        except ConditionFailed:
            _bill(one, refused_units(operation.key, old, transaction=False))
            raise
        _bill(one, write_units(operation.key, old, self._stored(operation.key), transaction=False))
        return answer

    def transact(self, operations: Sequence[Write], token: str) -> None:
        """See `ItemStore.transact`. The call is counted once, its items under their kinds."""
        before = {one.key: self._stored(one.key) for one in operations}
        self.ledger.at("TransactWriteItems", "").calls += 1
        refused = False
        try:
            super().transact(operations, token)
        except TransactionCancelled:
            refused = True
            raise
        finally:
            for key, old in before.items():
                units = (
                    refused_units(key, old, transaction=True)
                    if refused
                    else write_units(key, old, self._stored(key), transaction=True)
                )
                _bill(self.ledger.at("in a transaction", kind_of(key)), units)


_CALLED: Final = {Put: "PutItem", Update: "UpdateItem", Delete: "DeleteItem"}


def _bill(tally: Tally, units: WriteUnits) -> None:
    tally.entries += 1
    tally.write_units += units.total
    tally.index_units += units.indexes


class CountedSender(InMemorySender):
    """Counts batches that are sent, and those that the platform receives and deletes for a consumer that it invokes."""

    def __init__(self, ledger: Ledger, clock: ManualClock) -> None:
        super().__init__(clock)
        self.ledger = ledger
        self._hops = clock

    def send(self, queue_url: str, messages: Sequence[Message]) -> list[int]:
        """See `MessageSender.send`."""
        for batch in _batches(messages):
            self._count("SendMessageBatch", queue_url, batch)
        return super().send(queue_url, messages)

    def drain(self, queue_url: str, *, limit: int | None = None) -> list[Message]:
        """See `InMemorySender.drain`."""
        taken = super().drain(queue_url, limit=limit)
        if taken:
            self._hops.advance(_HOP_MS)
        for batch in _batches(taken):
            self._count("ReceiveMessage", queue_url, batch)
            self._count("DeleteMessageBatch", queue_url, ())
            self.ledger.at("Invoke", "").calls += 1
        return taken

    def _count(self, operation: str, queue_url: str, batch: Sequence[Message]) -> None:
        one = self.ledger.at(operation, queue_url.removeprefix("queue/"))
        one.calls += 1
        one.entries += len(batch)
        size = sum(len(message.body.encode()) for message in batch)
        one.requests += max(1, -(-size // _MESSAGE_UNIT_BYTES))


class CountedSink(InMemorySink):
    """Counts batches of facts, to the bus and to the topic."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.ledger = ledger

    def publish(self, facts: Sequence[PublishedFact]) -> list[int]:
        """See `FactSink.publish`."""
        for operation, target, told in (
            ("PutEvents", "facts bus", facts),
            ("PublishBatch", "topic", [fact for fact in facts if fact.announced]),
        ):
            for batch in _batches(told):
                one = self.ledger.at(operation, target)
                one.calls += 1
                one.entries += len(batch)
                one.requests += len(batch)
        return super().publish(facts)


class CountedPushlane(InMemoryDispatcher):
    """`ledger` has what was called, at the step that called it."""

    def __init__(self, *, tenants: tuple[str, ...]) -> None:
        self.ledger = Ledger()
        self._metrics_counted = 0
        super().__init__(tenants=tenants)

    def new_store(self, faults: Faults | None) -> InMemoryItemStore:
        return CountedStore(self.ledger, self.clock, faults=faults, change_listener=self._on_change)

    def new_sender(self) -> InMemorySender:
        return CountedSender(self.ledger, self.clock)

    def new_sink(self) -> InMemorySink:
        return CountedSink(self.ledger)

    def publish(self) -> bool:
        """Each table has a stream of its own, and each stream its batches."""
        changes, told = self._changes, False
        for table in (Table.ATTEMPTS, Table.TASKS):
            self._changes = [change for change in changes if change.key.table is table and _passes(change)]
            if self._changes:
                with self.ledger.during("lifecycle"):
                    self.ledger.at("Invoke", "").calls += 1
                    told = super().publish() or told
                    self._count_metrics()
        return told

    def log(self, event: str, **fields: Any) -> None:
        """See `InMemoryDispatcher.log`."""
        self.ledger.at(LOG, "").log_bytes += line_bytes(self.ledger.step, event, fields)
        super().log(event, **fields)

    def _count_metrics(self) -> None:
        """Those written since the last look."""
        for metric in self.metrics[self._metrics_counted :]:
            self.ledger.at(LOG, "").log_bytes += metric_bytes(metric)
        self._metrics_counted = len(self.metrics)

    def sweep(self) -> Swept:
        """See `InMemoryDispatcher.sweep`."""
        with self.ledger.during("sweep"):
            self.ledger.at("Invoke", "").calls += 1
            swept = super().sweep()
            self._count_metrics()
            return swept

    def _deliver_intake(self) -> bool:
        with self.ledger.during("intake turn"):
            return super()._deliver_intake()

    def _deliver(self, queue: str) -> bool:
        with self.ledger.during(_STEPS[queue]):
            return super()._deliver(queue)

    def _deliver_agent(self, queue_url: str) -> bool:
        with self.ledger.during("agent"):
            return super()._deliver_agent(queue_url)

    def step(self) -> bool:
        """See `Deliveries.step`; what is left over is the streamer's."""
        with self.ledger.during("streamer"):
            return super().step()


def _passes(change: Change) -> bool:
    """The filters of the streams (`pushlane.cdk.lifecycle`): of an attempt its start, else what is not removed."""
    if change.key.table is Table.ATTEMPTS:
        return "runner" in (change.new or {}) and change.old is not None and "runner" not in change.old
    return change.new is not None


_STEPS: Final = {RESULTS: "results turn", WAKEUPS: "wake-up turn", HELD: "held turn"}


Entry = TypeVar("Entry")


def _batches(entries: Sequence[Entry]) -> list[Sequence[Entry]]:
    """As the adapters send them and the platform receives them: of ten at most."""
    return [entries[at : at + _BATCH] for at in range(0, len(entries), _BATCH)]
