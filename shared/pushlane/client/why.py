"""Why a task is where it is: what it waits for now, its place, and how long it may take; or what became of it."""

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
from pushlane.state.items import number, task_of, text
from pushlane.state.loading import load_attempt


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
