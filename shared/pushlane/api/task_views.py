"""Tasks as the API shows them."""

from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.api.ports import ApiPorts
from pushlane.client.records import record_of
from pushlane.model.attempt import ErrorDetail
from pushlane.model.task import DeadlineKind, Door, Status, Tier
from pushlane.ports import Attributes, Item, Table
from pushlane.state import keys
from pushlane.state.items import optional_number, status_of, text

# Tasks of its lane that are looked at to find its place; one that lies behind them has no exact one.
PLACES_MAX: Final = 100


class SubmittedView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A task that is accepted. `agent_id`: who got it, within this very request. `position`: its place among its
    tenant's tasks that wait for the same kind of work, 1 is the next; left out where more than 100 are before it.
    """

    task_id: str
    status: Status
    idempotency_key: str
    agent_id: str | None = None
    position: int | None = None
    reason: str | None = None


class TaskView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One task as it stands. Times are Unix milliseconds; what does not apply is left out."""

    task_id: str
    tenant_id: str
    task_type: str
    status: Status
    tier: Tier
    pool: str
    epoch: int
    door: Door
    accepted_at_ms: int
    dispatched_at_ms: int | None = None
    started_at_ms: int | None = None
    finished_at_ms: int | None = None
    deadline_ms: int | None = None
    deadline_kind: DeadlineKind | None = None
    agent_id: str | None = None
    park_reason: str | None = None
    due_ms: int | None = None
    error: ErrorDetail | None = None
    idempotency_key: str | None = None
    correlation_id: str | None = None
    labels: dict[str, str] = {}
    workflow_id: str | None = None
    node: str | None = None
    parent_task_id: str | None = None


def task_view(item: Item) -> TaskView:
    """The stored task as its tenant may see it; its payload and its result are asked for by themselves."""
    record = record_of(item)
    task, stored = record.task, item.attributes
    running = record.status in (Status.DISPATCHED, Status.WAITING)
    view = TaskView(
        task_id=record.task_id,
        tenant_id=record.tenant_id,
        task_type=record.task_type,
        status=record.status,
        tier=record.tier,
        pool=record.pool,
        epoch=record.epoch,
        door=record.door,
        accepted_at_ms=record.accepted_at_ms,
        dispatched_at_ms=record.dispatched_at_ms,
        started_at_ms=record.started_at_ms,
        finished_at_ms=record.finished_at_ms or optional_number(stored, "ended_at_ms"),
        agent_id=text(stored, "agent_id") if running and "agent_id" in stored else None,
        park_reason=record.park_reason if record.status is Status.PARKED else None,
        due_ms=optional_number(stored, "due_ms") if not record.status.at_rest else None,
        error=record.error,
    )
    if task is None:
        return view
    return msgspec.structs.replace(
        view,
        deadline_ms=task.deadline_ms,
        deadline_kind=None if task.deadline_ms is None else task.deadline_kind,
        idempotency_key=task.idempotency_key,
        correlation_id=task.correlation_id,
        labels=task.labels,
        workflow_id=None if task.workflow is None else task.workflow.workflow_id,
        node=None if task.workflow is None else task.workflow.node,
        parent_task_id=None if task.parent is None else task.parent.task_id,
    )


def submitted_view(ports: ApiPorts, stored: Attributes, task_id: str, key: str, *, place: bool) -> SubmittedView:
    """What a submission is answered with. `place`: look up where a waiting task stands."""
    status = status_of(stored)
    parked = status is Status.PARKED
    return SubmittedView(
        task_id=task_id,
        status=status,
        idempotency_key=key,
        agent_id=text(stored, "agent_id") if status is Status.DISPATCHED and "agent_id" in stored else None,
        position=position_of(ports, stored, task_id) if parked and place else None,
        reason=text(stored, "park_reason") if parked and "park_reason" in stored else None,
    )


def position_of(ports: ApiPorts, stored: Attributes, task_id: str) -> int | None:
    """The place of a parked task in its lane; None where it has left, or more than 100 are before it."""
    if "waits_at" not in stored:
        return None
    lane = keys.pointed(text(stored, "waits_at"))
    waiting = ports.store.query(Table.SCHEDULER, lane.pk, limit=PLACES_MAX)
    places: dict[str, Any] = {item.key.sk: place for place, item in enumerate(waiting, start=1)}
    found: int | None = places.get(lane.sk)
    return found
