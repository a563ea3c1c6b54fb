"""What is compared: Pushlane, the floor, polling fleets and a bare queue. Each takes orders from a bus of its own.

An order's pickup runs from the time that PutEvents returned success to the first line of the code that does the work.
"""

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import TYPE_CHECKING, Any, Final, Protocol

from msgspec import Struct

from bench.place import AGENT, Place
from bench.report import COMMITTING, FLOOR
from pushlane.local.committing_floor import COMMIT_AND_FORWARD, START_AND_NOTE_TIME
from pushlane.local.floor import DETAIL_TYPE, FORWARD, NOTE_TIME, FloorParts
from pushlane.local.pickup import NotPickedUp, ran_at_ms
from pushlane.model.task import Door

if TYPE_CHECKING:
    from boto3.session import Session

_BATCH: Final = 10
_LOOK_SECONDS: Final = 0.25
_KEYS_MAX: Final = 100


class Order(Struct, frozen=True):
    """One task of a tenant; the agent sleeps so long for it."""

    tenant_id: str
    work_seconds: float = 0.0


class Sent(Struct, frozen=True):
    """An order that the bus has taken: `sample` finds it again."""

    sample: str
    order: Order
    returned_at_ms: int


class System(Protocol):
    """One of those that are compared."""

    name: str

    def send(self, orders: Sequence[Order]) -> list[Sent]:
        """Put the orders on its bus, ten in a call."""
        ...

    def ran_at_ms(self, samples: Sequence[str]) -> Mapping[str, int]:
        """Those that have run by now, and when (Unix milliseconds)."""
        ...

    def awake(self) -> AbstractContextManager[object]:
        """It works as long as the block lasts; what AWS calls works all the time."""
        ...


def pickups_ms(system: System, sent: Sequence[Sent], timeout_seconds: float) -> list[float]:
    """How long each order took to be picked up, once all have been; raises `NotPickedUp`."""
    ran: dict[str, int] = {}
    deadline = time.monotonic() + timeout_seconds
    while missing := [one.sample for one in sent if one.sample not in ran]:
        ran |= system.ran_at_ms(missing)
        if len(ran) < len(sent):
            if time.monotonic() > deadline:
                raise NotPickedUp(
                    f"{system.name}: {len(sent) - len(ran)} of {len(sent)} orders did not run within "
                    f"{timeout_seconds:g} s; look at the functions' logs in build/bench/ministack.log"
                )
            time.sleep(_LOOK_SECONDS)
    return [float(max(0, ran[one.sample] - one.returned_at_ms)) for one in sent]


class Pushlane:
    """The deployed one, through its event door."""

    name = "pushlane"

    def __init__(self, place: Place) -> None:
        self._client = place.client

    def send(self, orders: Sequence[Order]) -> list[Sent]:
        """See `System.send`."""
        batch = self._client.submit_many([_task(order) for order in orders], door=Door.EVENTBRIDGE)
        if batch.refused:
            raise RuntimeError(f"Pushlane's bus refused {len(batch.refused)} orders: {batch.refused[0].reason}")
        return [Sent(one.task_id, order, one.returned_at_ms) for one, order in zip(batch.accepted, orders, strict=True)]

    def ran_at_ms(self, samples: Sequence[str]) -> Mapping[str, int]:
        """See `System.ran_at_ms`."""
        records = self._client.tasks(samples)
        return {key: ran_at_ms(self._client, record)[0] for key, record in records.items() if record.at_rest}

    def awake(self) -> AbstractContextManager[object]:
        """See `System.awake`."""
        return nullcontext()


def _task(order: Order) -> dict[str, Any]:
    work = {"do": "sleep", "seconds": order.work_seconds} if order.work_seconds else {"do": "echo"}
    return {"tenant_id": order.tenant_id, "task_type": AGENT, "payload": work}


class BusDoor:
    """Puts orders on a bus of the name."""

    def __init__(self, session: "Session", bus: str) -> None:
        self._events = session.client("events")
        self._bus = bus

    def send(self, orders: Sequence[Order]) -> list[Sent]:
        """See `System.send`."""
        sent: list[Sent] = []
        for at in range(0, len(orders), _BATCH):
            sent += self._send_batch(orders[at : at + _BATCH])
        return sent

    def _send_batch(self, orders: Sequence[Order]) -> list[Sent]:
        samples = [uuid.uuid4().hex for _ in orders]
        entries: list[Any] = [
            {
                "EventBusName": self._bus,
                "Source": "pushlane.bench",
                "DetailType": DETAIL_TYPE,
                "Detail": json.dumps({"sample": sample, "work_seconds": order.work_seconds}),
            }
            for sample, order in zip(samples, orders, strict=True)
        ]
        answer = self._events.put_events(Entries=entries)
        returned_at_ms = time.time_ns() // 1_000_000
        if answer["FailedEntryCount"]:
            raise RuntimeError(f"the bus {self._bus} refused events: {answer['Entries']}")
        return [Sent(sample, order, returned_at_ms) for sample, order in zip(samples, orders, strict=True)]


class Chain(BusDoor):
    """Functions behind queues whose last one notes the time: the floor has two of them, a bare queue one."""

    def __init__(self, name: str, session: "Session", table: str) -> None:
        super().__init__(session, table)
        self.name = name
        self._dynamodb = session.client("dynamodb")
        self._table = table

    def ran_at_ms(self, samples: Sequence[str]) -> Mapping[str, int]:
        """See `System.ran_at_ms`."""
        ran: dict[str, int] = {}
        for at in range(0, len(samples), _KEYS_MAX):
            keys: Any = [{"pk": {"S": sample}} for sample in samples[at : at + _KEYS_MAX]]
            asked: Any = {self._table: {"Keys": keys, "ConsistentRead": True}}
            found = self._dynamodb.batch_get_item(RequestItems=asked)["Responses"].get(self._table, [])
            ran |= {item["pk"]["S"]: int(item["ran_at_ms"]["N"]) for item in found}
        return ran

    def awake(self) -> AbstractContextManager[object]:
        """See `System.awake`."""
        return nullcontext()


class RivalParts(FloorParts):
    """Deploys what stands beside Pushlane; each has a bus, queues and functions of its own."""

    def floor(self, session: "Session") -> Chain:
        """EventBridge -> SQS -> function that forwards -> SQS -> function that notes the time."""
        self._table()
        second_url, second_arn = self._queue("second")
        first_url, first_arn = self._queue("first")
        self._consume(self._function("note", NOTE_TIME, {"TABLE": self._name}), second_arn, batch=1)
        self._consume(self._function("forward", FORWARD, {"NEXT_QUEUE_URL": second_url}), first_arn, batch=_BATCH)
        self._bus(first_url, first_arn)
        return Chain(FLOOR, session, self._name)

    def committing_floor(self, session: "Session") -> Chain:
        """The same hops with only the calls that a dispatcher cannot do without."""
        self._hear(self._streamed_table())
        second_url, second_arn = self._queue("second")
        first_url, first_arn = self._queue("first")
        self._consume(self._function("start", START_AND_NOTE_TIME, {"TABLE": self._name}), second_arn, batch=1)
        commit = {"TABLE": self._name, "NEXT_QUEUE_URL": second_url}
        self._consume(self._function("commit", COMMIT_AND_FORWARD, commit), first_arn, batch=_BATCH)
        self._bus(first_url, first_arn)
        return Chain(COMMITTING, session, self._name)

    def bare_queue(self, session: "Session") -> Chain:
        """EventBridge -> SQS -> function that notes the time."""
        self._table()
        url, arn = self._queue("only")
        self._consume(self._function("note", NOTE_TIME, {"TABLE": self._name}), arn, batch=1)
        self._bus(url, arn)
        return Chain("sqs_only", session, self._name)

    def queue_for_pollers(self) -> str:
        """EventBridge -> SQS; the URL of the queue."""
        url, arn = self._queue("polled")
        self._bus(url, arn)
        return url


def rival_parts(session: "Session", kind: str, undo: ExitStack) -> tuple[RivalParts, str]:
    """Parts of a name that nothing else has, and the name."""
    name = f"pushlane-bench-{kind}-{uuid.uuid4().hex[:6]}"
    return RivalParts(session, name, undo), name
