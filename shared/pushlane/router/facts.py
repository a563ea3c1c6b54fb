"""Committed changes -> facts. Pure. A fact's id follows from what it says, so a change told twice is one fact."""

from collections.abc import Iterable
from typing import TypedDict

import msgspec

from pushlane.model.events import Fact, FactData, FactMetadata, FactName
from pushlane.model.ids import digest
from pushlane.model.policy import Policy
from pushlane.model.task import Status, Task, Tier
from pushlane.model.trace_context import task_trace
from pushlane.ports import Attributes, Change, PublishedFact, Table
from pushlane.router.workflow_facts import workflow_facts
from pushlane.scheduling.deadlines import penalty
from pushlane.scheduling.entry import entry_of
from pushlane.state.items import number, status_of, task_of, text, to_json
from pushlane.state.keys import TASK, WORKFLOW

# The code of `TaskRetrying` for a task that comes back from the dead letters.
REDRIVEN = "redriven"

_NAMES = {
    Status.PARKED: FactName.TASK_PARKED,
    Status.DISPATCHED: FactName.TASK_DISPATCHED,
    Status.RETRYING: FactName.TASK_RETRYING,
    Status.SUCCEEDED: FactName.TASK_SUCCEEDED,
    Status.FAILED: FactName.TASK_FAILED,
    Status.EXPIRED: FactName.TASK_EXPIRED,
    Status.BLOCKED: FactName.TASK_BLOCKED,
    Status.WAITING: FactName.TASK_WAITING,
    Status.SUSPENDED: FactName.TASK_SUSPENDED,
    Status.DEAD_LETTERED: FactName.TASK_DEAD_LETTERED,
    Status.CANCELLED: FactName.TASK_CANCELLED,
}


# The status that a task has reached, for subscribers that filter by it. What is no step of a task has none.
_STATUSES = {name: status.value for status, name in _NAMES.items()}

_WITH_ERROR = frozenset(
    {
        FactName.TASK_RETRYING,
        FactName.TASK_FAILED,
        FactName.TASK_EXPIRED,
        FactName.TASK_CANCELLED,
        FactName.TASK_DEAD_LETTERED,
    }
)

# What somebody outside may have to act on; the steps in between are for the bus, where a rule chooses (ADR 0006).
ANNOUNCED = frozenset(
    {
        FactName.TASK_SUCCEEDED,
        FactName.TASK_FAILED,
        FactName.TASK_EXPIRED,
        FactName.TASK_CANCELLED,
        FactName.TASK_DEAD_LETTERED,
        FactName.TASK_REJECTED,
        FactName.COMMAND_REFUSED,
        FactName.WORKFLOW_ENDED,
        FactName.SCHEDULE_MISSED,
        FactName.AGENT_UNAVAILABLE,
        FactName.AGENT_AVAILABLE,
        FactName.RESULT_STALE,
        FactName.CAPACITY_REPAIRED,
        FactName.BACKPRESSURE_CHANGED,
        FactName.BUDGET_EXCEEDED,
        FactName.RESOURCE_PAUSED,
        FactName.POLICY_CHANGED,
        FactName.POLICY_REFUSED,
    }
)


def facts_of(change: Change) -> list[Fact]:
    """The facts that a committed change of any streamed item amounts to."""
    if change.new is None:
        return []
    if change.key.table is Table.ATTEMPTS:
        return _started(change.key.sk, change.old, change.new)
    if "fact" in change.new:
        return [_recorded(change.key.pk, change.new)] if change.old is None else []
    if change.key.sk == WORKFLOW:
        return workflow_facts(change.old, change.new)
    return _task_facts(change.old, change.new) if change.key.sk == TASK else []


def published(facts: Iterable[Fact]) -> list[PublishedFact]:
    """Facts as they go out, with the attributes that subscribers may filter by."""
    return [
        PublishedFact(
            name=fact.metadata.name.value,
            body=to_json(fact),
            attributes=_attributes(fact),
            announced=fact.metadata.name in ANNOUNCED,
        )
        for fact in facts
    ]


def _attributes(fact: Fact) -> dict[str, str]:
    data = fact.data
    routed = {
        "fact": fact.metadata.name.value,
        "tenant_id": data.tenant_id,
        "task_type": data.task_type,
        "tier": data.tier.value if data.tier else None,
        "pool": data.pool,
        "status": data.status or _STATUSES.get(fact.metadata.name),
    }
    return {name: value for name, value in routed.items() if value}


def _task_facts(old: Attributes | None, new: Attributes) -> list[Fact]:
    status = status_of(new)
    if old is not None and status_of(old) is status and old["epoch"] == new["epoch"]:
        return []
    task = task_of(new)
    redriven = old is not None and status_of(old) is Status.DEAD_LETTERED and status is Status.RETRYING
    changed = _fact(_NAMES[status], task, new, _changed_at_ms(status, new), code=REDRIVEN if redriven else None)
    accepted = [] if old is not None else [_fact(FactName.TASK_ACCEPTED, task, new, task.accepted_at_ms)]
    return [*accepted, changed]


def _changed_at_ms(status: Status, new: Attributes) -> int:
    over = status.terminal or status is Status.DEAD_LETTERED
    name = "dispatched_at_ms" if status is Status.DISPATCHED else "ended_at_ms" if over else "changed_at_ms"
    return number(new, name if name in new else "accepted_at_ms")


def _fact(name: FactName, task: Task, new: Attributes, occurred_at_ms: int, *, code: str | None = None) -> Fact:
    epoch = number(new, "epoch")
    once = name is FactName.TASK_ACCEPTED or status_of(new).terminal
    fact_id = digest(name, task.task_id, "" if once else f"{epoch}/{occurred_at_ms}")
    data = FactData(
        tenant_id=task.tenant_id,
        task_id=task.task_id,
        task_type=task.task_type,
        tier=task.tier,
        pool=task.pool,
        agent_id=_optional(new, "agent_id"),
        epoch=epoch,
        door=task.source.door.value,
        accepted_at_ms=task.accepted_at_ms,
        dispatched_at_ms=_optional_number(new, "dispatched_at_ms"),
        queued_at_ms=_optional_number(new, "queued_at_ms"),
        started_at_ms=_optional_number(new, "started_at_ms"),
        finished_at_ms=_optional_number(new, "finished_at_ms"),
        reason=_reason(name, new),
        code=code,
        **_deadline(name, task, new),
        workflow_id=None if task.workflow is None else task.workflow.workflow_id,
        node=None if task.workflow is None else task.workflow.node,
        parent_task_id=task.parent.task_id if task.parent is not None and task.parent.attached else None,
        unblock_ms=_optional_number(new, "unblock_ms"),
        result=msgspec.json.decode(text(new, "result")) if name is FactName.TASK_SUCCEEDED else None,
        labels=task.labels,
        callback=True if _told_back(name, task) else None,
    )
    metadata = FactMetadata(
        name=name,
        fact_id=fact_id,
        occurred_at_ms=occurred_at_ms,
        correlation_id=task.correlation_id,
        traceparent=task_trace(task).root.traceparent,
        depth=task.depth,
    )
    return Fact(metadata=metadata, data=data)


def _told_back(name: FactName, task: Task) -> bool:
    return task.callback is not None and task.callback.tells(name)


class _Deadline(TypedDict, total=False):
    deadline_ms: int
    lateness_ms: int
    missed: bool
    penalty: float


def _deadline(name: FactName, task: Task, new: Attributes) -> _Deadline:
    """How the task's end stands to its deadline, if it had one. What was never done has missed it."""
    status = status_of(new)
    if name is FactName.TASK_ACCEPTED or not status.terminal or task.deadline_ms is None:
        return {}
    done = status is Status.SUCCEEDED
    ended_at_ms = number(new, "finished_at_ms" if done else "ended_at_ms")
    cost = penalty(entry_of(task, Policy()), ended_at_ms)
    return {
        "deadline_ms": task.deadline_ms,
        "lateness_ms": ended_at_ms - task.deadline_ms,
        "missed": not done or ended_at_ms > task.deadline_ms,
        "penalty": cost if done else max(1.0, cost),
    }


def _reason(name: FactName, new: Attributes) -> str | None:
    if name is FactName.TASK_PARKED:
        return _optional(new, "park_reason")
    if name in _WITH_ERROR and "error" in new:
        error = msgspec.json.decode(text(new, "error"))
        return f"{error['error_type']}: {error['message']}"[:500]
    return None


def _started(task_id: str, old: Attributes | None, new: Attributes) -> list[Fact]:
    if "runner" not in new or (old is not None and "runner" in old):
        return []
    epoch, started_at_ms = number(new, "epoch"), number(new, "started_at_ms")
    data = FactData(
        tenant_id=text(new, "tenant_id"),
        task_id=task_id,
        task_type=text(new, "task_type"),
        tier=Tier(text(new, "tier")),
        pool=text(new, "pool"),
        agent_id=text(new, "agent_id"),
        epoch=epoch,
        dispatched_at_ms=number(new, "dispatched_at_ms"),
        started_at_ms=started_at_ms,
    )
    fact_id = digest(FactName.TASK_STARTED, task_id, str(epoch))
    return [
        Fact(
            metadata=FactMetadata(name=FactName.TASK_STARTED, fact_id=fact_id, occurred_at_ms=started_at_ms), data=data
        )
    ]


def _recorded(pk: str, new: Attributes) -> Fact:
    """A fact that was written as an item of its own."""
    data = FactData(
        tenant_id=_optional(new, "tenant_id"),
        task_id=_optional(new, "task_id"),
        pool=_optional(new, "pool"),
        agent_id=_optional(new, "agent_id"),
        epoch=number(new, "epoch") if "epoch" in new else None,
        door=_optional(new, "door"),
        field=_optional(new, "field"),
        reason=_optional(new, "reason"),
        code=_optional(new, "code"),
        retry_after_seconds=_optional_number(new, "retry_after_seconds"),
        resource=_optional(new, "resource"),
        revision=number(new, "revision") if "revision" in new else None,
        changed_by=_optional(new, "changed_by"),
        workflow_id=_optional(new, "workflow_id"),
        schedule_id=_optional(new, "schedule_id"),
        scheduled_at_ms=_optional_number(new, "scheduled_at_ms"),
    )
    metadata = FactMetadata(
        name=FactName(text(new, "fact")), fact_id=pk.partition("#")[2], occurred_at_ms=number(new, "occurred_at_ms")
    )
    return Fact(metadata=metadata, data=data)


def _optional(attributes: Attributes, name: str) -> str | None:
    return text(attributes, name) if name in attributes else None


def _optional_number(attributes: Attributes, name: str) -> int | None:
    return number(attributes, name) if name in attributes else None
