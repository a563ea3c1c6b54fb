"""Why a task is where it is: what it waits for now, its place, and how long it may take; or what became of it."""

from typing import Final

import msgspec
from msgspec import Struct

from pushlane.client.errors import TaskUnknown
from pushlane.client.policies import current_policy
from pushlane.client.records import record_of
from pushlane.client.waiting import Parked, Place, Shares, Wait, parked
from pushlane.model.attempt import ErrorDetail
from pushlane.model.policy import Policy
from pushlane.model.task import Status, Tier
from pushlane.ports import Attributes, ItemStore
from pushlane.scheduling.entry import Entry, entry_of
from pushlane.scheduling.reasons import meaning
from pushlane.state import keys
from pushlane.state.items import number, status_of, task_of, text
from pushlane.state.loading import load_attempt, load_task_items

_NAMED_MAX: Final = 5
_OF_WAITING: Final = "its attempt runs on and waits for something outside; slot and resources are given back meanwhile"


class Why(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One task at the moment `at_ms`; times are Unix milliseconds, and what does not apply is left out.

    `reason`: of a parked task, as `capacity` or `rate:llm-tpm`, recomputed now; `until_ms` is when it ends by itself.
    `due_ms`: of a retrying one. `agent_id` to `lease_until_ms`: of a dispatched one. `ended_at_ms`: of one that ended.
    """

    task_id: str
    tenant_id: str
    tier: Tier
    pool: str
    status: Status
    epoch: int
    at_ms: int
    explanation: str
    reason: str | None = None
    until_ms: int | None = None
    place: Place | None = None
    shares: Shares | None = None
    wait: Wait | None = None
    due_ms: int | None = None
    agent_id: str | None = None
    dispatched_at_ms: int | None = None
    started_at_ms: int | None = None
    lease_until_ms: int | None = None
    ended_at_ms: int | None = None
    error: ErrorDetail | None = None

    def to_json(self) -> bytes:
        return msgspec.json.encode(self)


def why(store: ItemStore, task_id: str, now_ms: int) -> Why:
    """Why the task is where it is; raises `TaskUnknown` and `StoreUnavailable`.

    Reads what a turn would, and decides what a turn would decide; nothing is written. Without a snapshot of one
    instant, a task that moves meanwhile can be told as it was a moment before.
    """
    key = keys.task_key(task_id)
    item = store.get([key]).get(key)
    if item is None or "body" not in item.attributes:
        raise TaskUnknown(task_id)
    record = record_of(item)
    said = Why(
        task_id=task_id,
        tenant_id=record.tenant_id,
        tier=record.tier,
        pool=record.pool,
        status=record.status,
        epoch=record.epoch,
        at_ms=now_ms,
        explanation="",
        error=record.error,
    )
    match record.status:
        case Status.PARKED:
            return _of_parked(store, said, item.attributes)
        case Status.RETRYING:
            return _of_retrying(said, item.attributes)
        case Status.DISPATCHED:
            return _of_dispatched(store, said, item.attributes)
        case Status.BLOCKED:
            return _of_blocked(store, said, item.attributes)
        case Status.SUSPENDED:
            return _of_suspended(said, item.attributes)
        case Status.WAITING:
            return msgspec.structs.replace(said, explanation=_OF_WAITING, agent_id=text(item.attributes, "agent_id"))
        case Status.DEAD_LETTERED:
            return _of_dead(said, item.attributes)
        case _:
            return _of_ended(said, item.attributes)


def _of_parked(store: ItemStore, said: Why, stored: Attributes) -> Why:
    policy = current_policy(store)
    found: Parked = parked(store, said.pool, policy, _entry(stored, policy), said.at_ms)
    return msgspec.structs.replace(
        said,
        explanation=f"it waits: {meaning(found.block)}",
        reason=str(found.block),
        until_ms=found.block.until_ms,
        place=found.place,
        shares=found.shares,
        wait=found.wait,
    )


def _of_retrying(said: Why, stored: Attributes) -> Why:
    due_ms = number(stored, "due_ms")
    failed = f" after {said.error.error_type}: {said.error.message}" if said.error else ""
    return msgspec.structs.replace(
        said, explanation=f"attempt {said.epoch} failed{failed}; it is tried again when it is due", due_ms=due_ms
    )


def _of_dispatched(store: ItemStore, said: Why, stored: Attributes) -> Why:
    attempt = load_attempt(store, said.pool, said.task_id)
    agent_id = text(stored, "agent_id")
    started_at_ms = None if attempt is None else attempt.started_at_ms
    if attempt is not None and attempt.outcome is not None:
        state = f"agent {agent_id} has finished it, and its end is being recorded"
    elif started_at_ms is None:
        state = f"it was pushed to agent {agent_id}, which has not started it yet"
    else:
        state = f"agent {agent_id} is running it"
    return msgspec.structs.replace(
        said,
        explanation=state,
        agent_id=agent_id,
        dispatched_at_ms=number(stored, "dispatched_at_ms"),
        started_at_ms=started_at_ms,
        lease_until_ms=None if attempt is None else attempt.lease_until_ms,
    )


def _of_blocked(store: ItemStore, said: Why, stored: Attributes) -> Why:
    place = task_of(stored).workflow
    edges = () if place is None else place.parents
    found = load_task_items(store, [edge.task_id for edge in edges])
    open_ones = [
        f"{edge.node} ({status_of(found[edge.task_id]).value if edge.task_id in found else 'not written yet'})"
        for edge in edges
        if edge.task_id not in found or not status_of(found[edge.task_id]).terminal
    ]
    if not open_ones:
        return msgspec.structs.replace(said, explanation="its parents have ended, and it is about to be let go")
    more = "" if len(open_ones) <= _NAMED_MAX else f" and {len(open_ones) - _NAMED_MAX} more"
    waits = f"{len(open_ones)} of its {len(edges)} parents: {', '.join(open_ones[:_NAMED_MAX])}{more}"
    return msgspec.structs.replace(said, explanation=f"it waits for {waits}")


def _of_suspended(said: Why, stored: Attributes) -> Why:
    due_ms = number(stored, "due_ms") if "due_ms" in stored else None
    awaited = f"for signal {text(stored, 'awaits')!r}" if "awaits" in stored else "for its time"
    either = " or its time, whichever comes first" if "awaits" in stored and due_ms is not None else ""
    explanation = f"it is suspended and waits {awaited}{either}; it holds nothing meanwhile"
    return msgspec.structs.replace(said, explanation=explanation, due_ms=due_ms)


def _of_dead(said: Why, stored: Attributes) -> Why:
    failed = f" after {said.error.error_type}: {said.error.message}" if said.error else ""
    way = f"`pushlane dlq redrive {said.task_id}` brings it back, discard gives it up, the pool's policy may redrive it"
    return msgspec.structs.replace(
        said, explanation=f"its retries are used up{failed}; {way}", ended_at_ms=number(stored, "ended_at_ms")
    )


def _of_ended(said: Why, stored: Attributes) -> Why:
    failed = f": {said.error.error_type}: {said.error.message}" if said.error else ""
    return msgspec.structs.replace(
        said,
        explanation=f"it has ended, {said.status.lower()}{failed}",
        ended_at_ms=number(stored, "ended_at_ms"),
    )


def _entry(stored: Attributes, policy: Policy) -> Entry:
    uncounted = number(stored, "uncounted") if "uncounted" in stored else 0
    return entry_of(task_of(stored), policy, number(stored, "epoch"), uncounted)
