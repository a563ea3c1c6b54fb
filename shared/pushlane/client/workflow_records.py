"""Workflows as they stand, read from their items."""

from typing import Final

from msgspec import Struct

from pushlane.client.errors import WorkflowUnknown
from pushlane.model.workflow import WorkflowStatus, node_task_id
from pushlane.ports import ItemStore, Table
from pushlane.scheduling.workflow import Counts, counts_of
from pushlane.state.items import status_of, text
from pushlane.state.loading import load_task_items
from pushlane.state.workflows import (
    WorkflowRow,
    ends_keys,
    ends_of,
    listed_pk,
    load_marks,
    load_names,
    load_row,
    row_of,
    workflow_key,
)

LISTED_MAX: Final = 100


class WorkflowRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A workflow at the moment of the read; times are Unix milliseconds. `counts`: its nodes that have ended."""

    workflow_id: str
    tenant_id: str
    status: WorkflowStatus
    counts: Counts
    accepted_at_ms: int
    name: str | None = None
    pool: str | None = None
    started_at_ms: int | None = None
    ended_at_ms: int | None = None
    deadline_ms: int | None = None
    reason: str | None = None

    @property
    def terminal(self) -> bool:
        return self.status.terminal


class NodeRecord(Struct, frozen=True, kw_only=True):
    """One node: its task, and where that stands. `SKIPPED`: cancelled because its parents were not there to build on;
    `UNWRITTEN`: not a task yet.
    """

    name: str
    task_id: str
    status: str


def workflow_of(store: ItemStore, workflow_id: str) -> WorkflowRecord:
    """A workflow as it stands now; raises `WorkflowUnknown`."""
    row = load_row(store, workflow_id)
    if row is None:
        raise WorkflowUnknown(workflow_id)
    return workflow_record(store, row)


def nodes_of(store: ItemStore, record: WorkflowRecord) -> tuple[NodeRecord, ...]:
    """The workflow's nodes in the order of its document."""
    workflow_id = record.workflow_id
    names = load_names(store, workflow_id)
    marks = load_marks(store, ends_keys(workflow_id, record.counts.nodes))
    ids = {name: node_task_id(workflow_id, name) for name in names}
    ended = {name: marks[place].end.value for place, name in enumerate(names) if place in marks}
    going = load_task_items(store, [ids[name] for name in names if name not in ended])
    statuses = {task_id: status_of(stored).value for task_id, stored in going.items()}
    return tuple(
        NodeRecord(name=name, task_id=ids[name], status=ended.get(name) or statuses.get(ids[name], "UNWRITTEN"))
        for name in names
    )


def workflows_of(
    store: ItemStore, tenant_id: str, *, limit: int = LISTED_MAX, start: str = ""
) -> tuple[WorkflowRecord, ...]:
    """The tenant's workflows, the newest first, from the sort key `start` of their list on."""
    listed = store.query(Table.TASKS, listed_pk(tenant_id), limit=min(limit, LISTED_MAX), start=start)
    keys = [workflow_key(text(item.attributes, "workflow_id")) for item in listed]
    found = store.get(keys) if keys else {}
    return tuple(workflow_record(store, row_of(found[key].attributes)) for key in keys if key in found)


def workflow_record(store: ItemStore, row: WorkflowRow) -> WorkflowRecord:
    """The record of a row that was read."""
    accepted = row.accepted
    marks = load_marks(store, ends_keys(accepted.workflow_id, accepted.nodes))
    return WorkflowRecord(
        workflow_id=accepted.workflow_id,
        tenant_id=accepted.tenant_id,
        status=row.status,
        counts=counts_of(accepted.nodes, ends_of(marks)),
        accepted_at_ms=accepted.accepted_at_ms,
        name=accepted.name,
        pool=accepted.pool,
        started_at_ms=row.started_at_ms,
        ended_at_ms=row.ended_at_ms,
        deadline_ms=accepted.deadline_ms,
        reason=row.reason,
    )
