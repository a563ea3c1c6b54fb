"""Values that several unit tests start from. Each function gives a valid one; keywords change it."""

from typing import Any, Final

import msgspec

from pushlane.model.agent import Agent
from pushlane.model.attempt import Attempt, ErrorDetail, Outcome, OutcomeKind
from pushlane.model.task import Door, Source, Task, Tier
from pushlane.ports import ItemStore, Key, Put, Table, Update, Write
from pushlane.scheduling.snapshot import Entry, entry_of
from pushlane.state import keys

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
    return entry_of(a_task(number, **changed), epoch)


def an_agent(name: str = "one", *, slots: int = 1, used: int = 0, **changed: Any) -> Agent:
    agent = Agent(agent_id=name, capabilities=frozenset({"work"}), slots=slots, used=used, queue_url=f"queue/{name}")
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
        "queue_url": agent.queue_url,
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
