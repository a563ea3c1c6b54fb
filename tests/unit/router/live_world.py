"""Logs that are followed, in memory: a streamer that may die at any call, its FIFO queue, and clients that watch."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from typing import Any

import msgspec

from pushlane.inmemory import InMemoryItemStore, InMemoryPoster, InMemorySender, ManualClock
from pushlane.model import token
from pushlane.model.emitted import Emitted
from pushlane.model.errors import StoreUnavailable
from pushlane.model.events import Fact, FactData, FactMetadata, FactName
from pushlane.model.ids import digest
from pushlane.model.keyring import ring_of
from pushlane.model.live import (
    Connection,
    Copy,
    OpenFeed,
    SignedWord,
    Subscribe,
    Word,
    check_word,
    feed_log,
)
from pushlane.model.principal import Principal, Role
from pushlane.model.task import ParentTask, Status
from pushlane.model.timeline import LoggedEvent
from pushlane.ports import Cancelled, CancelReason, Frame, Message, Posted, Put, TransactionCancelled, Write
from pushlane.router.following import Following
from pushlane.router.lifecycle import timeline_messages
from pushlane.router.repeating import message_of
from pushlane.router.streamer import Streamer, StreamerPorts
from pushlane.state import connections, keys
from pushlane.state.connections import Connected
from pushlane.state.event_log import read_events
from pushlane.state.items import new_task_attributes, to_json
from pushlane.state.workflows import workflow_key
from pushlane.testing.events import sqs_event
from tests.unit.values import NOW, a_reservation, a_task

RING = ring_of(b"a key for tests only, thirty-two bytes")
EVENTS = "events"
_SLIPS_IN = 0.05
TENANT = "atlas"


class Crashed(BaseException):
    """The process is gone, in the middle of whatever it did."""


class Chance:
    """Whether something goes wrong at a call. `odds` 0: nothing does. `conflicts`: of the next so many transactions."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.odds = 0.0
        self.conflicts = 0

    def conflict(self) -> None:
        if self.conflicts:
            self.conflicts -= 1
            raise TransactionCancelled((Cancelled(0, CancelReason.CONFLICT),))

    def crash(self) -> None:
        if self.odds and self.random.random() < self.odds:
            raise Crashed


class Dying:
    """The store's calls may be the last ones, and another streamer may work in between."""

    def __init__(self, chance: Chance, slip_in: Callable[[], None]) -> None:
        self._chance = chance
        self._slip_in = slip_in

    def before(self, name: str, operations: Sequence[Write]) -> None:
        if name == "transact":
            self._chance.conflict()
        self._chance.crash()
        if self._chance.odds and self._chance.random.random() < _SLIPS_IN:
            self._slip_in()

    def after(self, name: str, operations: Sequence[Write]) -> None:
        self._chance.crash()


class Client:
    """Watches logs over a connection, and comes back after the last sequence that it has when it has lost it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.connection_id = ""
        self.seen: dict[str, list[LoggedEvent]] = {}

    def last(self, log: str) -> int:
        events = self.seen.get(log, [])
        return events[-1].sequence if events else 0

    def receive(self, body: bytes) -> None:
        """Apply a frame as the documentation says: what is not newer is dropped; a gap is a failure."""
        said = msgspec.json.decode(body)
        if said["type"] != "events":
            assert said["type"] == "subscribed", said
            return
        for event in msgspec.convert(said["events"], list[LoggedEvent]):
            last = self.last(said["stream"])
            assert event.sequence <= last + 1, f"{self.name}: a gap in {said['stream']} after {last}"
            if event.sequence == last + 1:
                self.seen.setdefault(said["stream"], []).append(event)


class LiveWorld:
    """`random` decides what goes wrong while `storm` is on; without it nothing does."""

    def __init__(self, random: Random | None = None) -> None:
        self.random = random or Random(1)
        self.chance = Chance(self.random)
        self.clock = ManualClock(NOW)
        self.store = InMemoryItemStore(self.clock, faults=Dying(self.chance, self._slip_in))
        self.sender = InMemorySender(self.clock)
        self.poster = InMemoryPoster(answer=self._posting)
        self.slow: set[str] = set()
        self.queue: list[Message] = []
        self.calls: list[str] = []
        self.logged: list[tuple[str, dict[str, Any]]] = []
        self.streamer = self.new_streamer()
        self._numbers: dict[str, int] = {}
        self._ids = 0
        self._slipping = False

    def new_streamer(self) -> Streamer:
        return Streamer(
            StreamerPorts(
                store=self.store,
                clock=self.clock,
                keyring=lambda: RING,
                sender=_Sending(self),
                events_queue_url=EVENTS,
                retention_seconds=3_600,
                back_off=lambda _tried: None,
                log=self._log,
                measure=lambda _counts: None,
                poster=self.poster,
            )
        )

    # What happens in the world.

    def accept(self, task_id: str, *, parent: str | None = None, workflow: str | None = None) -> None:
        """A task is accepted; its row is there first."""
        task = msgspec.structs.replace(
            a_task(1), task_id=task_id, tenant_id=TENANT, parent=ParentTask(task_id=parent) if parent else None
        )
        self.store.write(Put(keys.task_key(task_id), new_task_attributes(task, Status.DISPATCHED, 1)))
        self.fact(FactName.TASK_ACCEPTED, task_id, parent_task_id=parent, workflow_id=workflow)

    def accept_workflow(self, workflow_id: str) -> None:
        """The same of a workflow."""
        self.store.write(Put(workflow_key(workflow_id), {"tenant_id": TENANT}))
        self.fact(FactName.WORKFLOW_ACCEPTED, None, workflow_id=workflow_id)

    def fact(self, name: FactName, task_id: str | None, **data: Any) -> None:
        said = FactData(tenant_id=TENANT, task_id=task_id, epoch=1, **data)
        fact_id = f"{name}-{task_id or said.workflow_id}"
        metadata = FactMetadata(name=name, fact_id=digest(fact_id), occurred_at_ms=NOW)
        self.queue += timeline_messages([Fact(metadata=metadata, data=said)], lambda: RING)

    def emit(self, task_id: str) -> None:
        number = self._numbers[task_id] = self._numbers.get(task_id, 0) + 1
        claims = token.ReservationClaims(
            tenant_id=TENANT,
            task_id=task_id,
            epoch=1,
            pool="default",
            reservation=a_reservation(),
            expires_at_ms=NOW + 10**9,
        )
        emit = Emitted(
            token=token.sign(claims, RING),
            task_id=task_id,
            epoch=1,
            runner="r",
            number=number,
            kind="token",
            emitted_at_ms=NOW,
            data={"n": number},
        )
        self.queue.append(Message(to_json(emit), group=task_id, deduplication_id=f"{task_id}/{number}"))

    # Clients.

    def connect(self, client: Client) -> None:
        client.connection_id = self._id("connection")
        self.poster.open(client.connection_id)
        principal = Principal(principal_id=client.name, role=Role.PRODUCER, tenant_id=TENANT)
        self.calmly(
            lambda: connections.connect(
                self.store, Connected(connection=connection(client), principal=principal, opened_at_ms=NOW)
            )
        )

    def subscribe(self, client: Client, log: str) -> None:
        with suppress(Crashed, StoreUnavailable):  # the client hears nothing, or has begun without knowing it
            self.begin(self.wish(client, log))

    def wish(self, client: Client, log: str) -> Subscribe:
        return Subscribe(
            log=log,
            tenant_id=TENANT,
            connection=connection(client),
            subscription_id=self._id("subscription"),
            after=client.last(log),
        )

    def begin(self, wish: Subscribe) -> None:
        """As the sockets application does it."""
        for left in Following(self.store, self.poster, self._log).begin(wish, NOW):
            self.word(left)

    def unsubscribe(self, client: Client, log: str) -> None:
        with suppress(Crashed):
            connections.unsubscribe(self.store, log, client.connection_id)

    def word_of_feed(self) -> None:
        """Somebody reads the tenant's feed."""
        self.word(OpenFeed(log=FEED, tenant_id=TENANT, request_id=self._id("request")))

    def word(self, word: Word) -> None:
        self.queue.append(message_of(word, RING))

    def lose(self, client: Client) -> None:
        """The connection is cut; API Gateway may or may not say so."""
        self.poster.close(connection(client))
        if self.random.random() < 0.5:
            self.calmly(lambda: connections.disconnect(self.store, client.connection_id))

    def read(self, client: Client) -> None:
        for body in self.poster.take(client.connection_id):
            client.receive(body)

    # Delivery.

    def deliver(self, *, shuffle: bool = False, keep: bool = False) -> None:
        """One batch: of each group its oldest, in order. `shuffle`: nudges come in another order. `keep`: they are
        delivered once more. Whatever was being done when the streamer dies is delivered again.
        """
        self._collect()
        batch = self._shuffled() if shuffle else self.queue[: self.random.randint(1, 10)]
        ids = {f"m{number}": message for number, message in enumerate(batch)}
        try:
            answer = self.streamer.handle(sqs_event(EVENTS, [(name, one.body) for name, one in ids.items()]))
        except Crashed:
            self.streamer = self.new_streamer()
            self._collect()
            return
        failed = {one["itemIdentifier"] for one in answer["batchItemFailures"]}
        done = [one for name, one in ids.items() if name not in failed]
        if not keep:
            self.queue = [one for one in self.queue if not any(one is other for other in done)]
        self._collect()

    def _slip_in(self) -> None:
        """A streamer that was taken for dead goes on: it has some of the same messages."""
        if self._slipping or not self.queue:
            return
        self._slipping = True
        first = self.random.randrange(len(self.queue))
        batch = self.queue[first : first + 3]
        try:
            records = [(f"z{number}", one.body) for number, one in enumerate(batch)]
            self.new_streamer().handle(sqs_event(EVENTS, records))
        except Crashed:
            pass
        finally:
            self._slipping = False

    def settle(self) -> None:
        """Deliver everything, and nothing goes wrong."""
        self.chance.odds = 0.0
        self._collect()
        for _ in range(10_000):
            if not self.queue:
                return
            self.deliver()
        raise AssertionError(f"{len(self.queue)} messages are going round in circles")

    def calmly(self, work: Callable[[], None]) -> None:
        """Do something that is not the streamer's: it does not die."""
        odds, self.chance.odds = self.chance.odds, 0.0
        work()
        self.chance.odds = odds

    def log_of(self, log: str) -> tuple[LoggedEvent, ...]:
        return read_events(self.store, log, limit=1_000).events

    def said(self, log: str) -> list[tuple[str, str]]:
        """Who said what in a log: the task and the source's own id."""
        return [(event.task_id, event.source_id) for event in self.log_of(log)]

    def _shuffled(self) -> list[Message]:
        batch = self.queue[:10]
        nudges = [one for one in self.queue if _is_copy(one)]
        self.random.shuffle(nudges)
        return ([one for one in batch if not _is_copy(one)] + nudges)[:10]

    def _log(self, event: str, **fields: Any) -> None:
        self.logged.append((event, fields))

    def _collect(self) -> None:
        self.queue += self.sender.drain(EVENTS)

    def _posting(self, frame: Frame) -> Posted:
        self.chance.crash()
        return Posted.SLOW if frame.connection.connection_id in self.slow else Posted.DELIVERED

    def _id(self, kind: str) -> str:
        self._ids += 1
        return f"{kind}-{self._ids}"


class _Sending:
    """The streamer's sender: it may die before and after."""

    def __init__(self, world: LiveWorld) -> None:
        self._world = world

    def send(self, queue_url: str, messages: Sequence[Message]) -> list[int]:
        self._world.chance.crash()
        refused = self._world.sender.send(queue_url, messages)
        self._world.chance.crash()
        return refused


def connection(client: Client) -> Connection:
    return Connection(connection_id=client.connection_id, api_id="api", domain="example.com", stage="live")


def _is_copy(message: Message) -> bool:
    return '"word":{"word":"copy"' in message.body and isinstance(
        check_word(msgspec.json.decode(message.body, type=SignedWord), RING), Copy
    )


FEED = feed_log(TENANT)
