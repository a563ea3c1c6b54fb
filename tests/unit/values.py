"""Values that several unit tests start from. Each function gives a valid one; keywords change it."""

from typing import Any, Final

import msgspec

from pushlane.model.agent import Agent
from pushlane.model.attempt import Attempt, ErrorDetail, Outcome, OutcomeKind, Reservation
from pushlane.model.endpoint import sqs
from pushlane.model.policy import Policy
from pushlane.model.task import Door, Source, Task, Tier
from pushlane.ports import ItemStore, Key, Put, Table, Update, Write
from pushlane.scheduling.decisions import Block, Dispatch, FromLane, Park, ParkReason
from pushlane.scheduling.entry import Entry, entry_of, lane_of
from pushlane.scheduling.snapshot import Arrival, Finished, LaneState, LaneView, LeaseExpired, Ready, RetryState
from pushlane.state import keys
from pushlane.state.items import endpoint_attributes

NOW: Final = 1_700_000_000_000
POOL: Final = "default"


def a_task(number: int = 1, **changed: Any) -> Task:
    task = Task(
        task_id=f"t-{number:04d}",
        tenant_id="atlas",
        task_type="work",
        capabilities=("work",),
        payload={},
        source=Source(door=Door.SQS, source_id=str(number)),
        body_digest=f"body-{number}",
        accepted_at_ms=NOW - 10_000 + number,
    )
    return msgspec.structs.replace(task, **changed)


def an_entry(number: int = 1, *, epoch: int = 0, **changed: Any) -> Entry:
    return entry_of(a_task(number, **changed), Policy(), epoch)


def an_arrival(number: int = 1, policy: Policy | None = None, **changed: Any) -> Arrival:
    task = a_task(number, **changed)
    return Arrival(task, entry_of(task, policy or Policy()))


def a_reservation(**changed: Any) -> Reservation:
    reservation = Reservation(
        agent_id="one",
        agent_pool=POOL,
        tenant_id="atlas",
        tier=Tier.NORMAL,
        reserved_at_ms=NOW - 40_000,
        cost_ms=30_000,
    )
    return msgspec.structs.replace(reservation, **changed)


def a_finish(
    number: int = 1, outcome: Outcome | None = None, retry: RetryState | None = None, **changed: Any
) -> Finished:
    held = a_reservation(**changed)
    return Finished(f"t-{number:04d}", 1, f"call-{number}", held, outcome or an_outcome(), retry)


def an_expiry(number: int = 1, *, attempt: Attempt | None = None, **changed: Any) -> LeaseExpired:
    """The lease of the task's attempt ran out; keywords change the task."""
    lost = attempt or an_attempt(number)
    task = a_task(number, **changed)
    return LeaseExpired(lost, RetryState(entry=entry_of(task, Policy(), lost.epoch), retry=task.retry))


def dispatch_of(origin: Arrival | Ready | Entry, *, handed_from: str | None = None, **held: Any) -> Dispatch:
    """A dispatch of an arrival, of a due retry, or of an entry from its lane; keywords change the reservation."""
    entry = origin if isinstance(origin, Entry) else origin.entry
    plain = a_reservation(
        tenant_id=entry.tenant_id, tier=entry.tier, cost_ms=entry.cost_ms, tokens=entry.tokens, reserved_at_ms=NOW
    )
    return Dispatch(
        entry=entry,
        epoch=entry.epoch + 1,
        reservation=msgspec.structs.replace(plain, **held),
        lease_until_ms=NOW + 1,
        origin=FromLane() if isinstance(origin, Entry) else origin,
        handed_from=handed_from,
    )


def park_of(origin: Arrival | Ready, reason: ParkReason = ParkReason.CAPACITY, tag_ms: int = 0) -> Park:
    return Park(entry=origin.entry, block=Block(reason), origin=origin, tag_ms=tag_ms)


def a_lane(
    *on_time: Entry, late: tuple[Entry, ...] = (), more: int = 0, more_late: int = 0, tag_ms: int = 0
) -> LaneView:
    """A lane with these first entries, listed where they belong; `more` of each sort are behind them, unread."""
    heads = on_time + late
    state = LaneState(
        depth=len(heads) + more + more_late,
        undated=sum(not entry.dated for entry in on_time),
        turn_tag_ms=tag_ms if on_time else None,
        urgent_ms=min((entry.start_by_ms for entry in on_time), default=None),
        late_tag_ms=0 if late else None,
    )
    return LaneView(
        ref=lane_of(heads[0]),
        state=state,
        on_time=on_time,
        late=late,
        on_time_complete=not more,
        late_complete=not more_late,
    )


def an_agent(name: str = "one", *, slots: int = 1, used: int = 0, **changed: Any) -> Agent:
    agent = Agent(
        agent_id=name, capabilities=frozenset({"work"}), slots=slots, used=used, endpoint=sqs(f"queue/{name}")
    )
    return msgspec.structs.replace(agent, **changed)


def an_attempt(number: int = 1, **changed: Any) -> Attempt:
    attempt = Attempt(
        task_id=f"t-{number:04d}",
        epoch=1,
        tenant_id="atlas",
        pool=POOL,
        agent_id="one",
        task_type="work",
        tier=Tier.NORMAL,
        dispatched_at_ms=NOW - 40_000,
        lease_until_ms=NOW - 1,
        reservation=a_reservation(),
    )
    return msgspec.structs.replace(attempt, **changed)


def an_outcome(kind: OutcomeKind = OutcomeKind.SUCCEEDED, **changed: Any) -> Outcome:
    error = ErrorDetail(error_type="Boom", message="boom") if kind is OutcomeKind.FAILED else None
    outcome = Outcome(kind=kind, started_at_ms=NOW - 30_000, finished_at_ms=NOW - 20_000, error=error)
    return msgspec.structs.replace(outcome, **changed)


def agent_item(agent: Agent) -> Put:
    """The stored form of an agent, as its registration and the turns since have left it."""
    attributes: dict[str, str | int | bool | list[str]] = {
        "agent_id": agent.agent_id,
        "pool": agent.pool,
        "capabilities": sorted(agent.capabilities),
        "slots": agent.slots,
        **endpoint_attributes(agent.endpoint),
        "status": agent.status.value,
        "used": agent.used,
        "revision": agent.revision,
    }
    return Put(keys.agent_key(agent.pool, agent.agent_id), attributes)


def attributes_of(store: ItemStore, key: Key) -> dict[str, Any]:
    """What is stored under a key; fails when nothing is."""
    return dict(store.get([key])[key].attributes)


class CountedCalls:
    """`Faults` that only counts the calls of a store by their name."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def before(self, name: str, operations: object) -> None:
        self.calls.append(name)

    def after(self, name: str, operations: object) -> None:
        """Nothing happens."""


def only_updates(operations: tuple[Write, ...], table: Table) -> dict[Key, Update]:
    """The updates among a transaction's operations on one table, by key."""
    return {one.key: one for one in operations if isinstance(one, Update) and one.key.table is table}
