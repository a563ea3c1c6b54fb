"""Workflows of the producer: submit a set of tasks with dependencies, see where it stands, wait for its end."""

from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

from pushlane.aws.backoff import Backoff
from pushlane.aws.dynamodb import KEYS_MAX
from pushlane.client.commands import door_of
from pushlane.client.delivery import deliver
from pushlane.client.doors import DoorSender, Record
from pushlane.client.errors import StillRunning, SubmissionRefused, WorkflowUnknown
from pushlane.client.workflow_envelope import Described, prepare_workflow
from pushlane.model.task import Door
from pushlane.model.workflow import WorkflowStatus, node_task_id
from pushlane.model.workflow_document import SUBMIT_WORKFLOW
from pushlane.ports import BlobStore, ItemStore, Table
from pushlane.scheduling.workflow import Counts, counts_of
from pushlane.state.items import status_of, text
from pushlane.state.keys import task_key
from pushlane.state.workflows import (
    WorkflowRow,
    ends_keys,
    ends_of,
    listed_pk,
    load_marks,
    load_names,
    row_of,
    workflow_key,
)

POLL_SECONDS: Final = 0.5
LISTED_MAX: Final = 100


class SubmittedWorkflow(Struct, frozen=True, kw_only=True):
    """A workflow that a door has taken. `task_ids`: by the names of its nodes, known before any of them exists."""

    workflow_id: str
    tenant_id: str
    door: Door
    idempotency_key: str
    returned_at_ms: int
    task_ids: dict[str, str]


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


class Workflows:
    """Submits workflows and reads them back."""

    _doors: Mapping[Door, DoorSender]
    _store: ItemStore
    _blobs: BlobStore
    _now_ms: Callable[[], int]
    _new_key: Callable[[], str]
    _backoff: Backoff

    def submit_workflow(
        self, workflow: Described, *, door: Door | str = Door.SQS, correlation_id: str | None = None
    ) -> SubmittedWorkflow:
        """Submit a set of tasks with dependencies. Raises `InvalidSubmission` (naming the field, and the cycle) before
        anything is sent, and `SubmissionRefused` when the door did not take it; a repeat under its key is safe.
        """
        way = door_of(door)
        one = prepare_workflow(workflow, blobs=self._blobs, new_key=self._new_key, correlation_id=correlation_id)
        tenant_id = one.event.data.tenant_id
        record = Record(index=0, tenant_id=tenant_id, body=one.encoded(), detail_type=SUBMIT_WORKFLOW)
        done = deliver(self._doors[way], [record], now_ms=self._now_ms, backoff=self._backoff)
        for reason in done.refused.values():
            raise SubmissionRefused(way.value, one.idempotency_key, reason)
        return SubmittedWorkflow(
            workflow_id=one.workflow_id,
            tenant_id=tenant_id,
            door=way,
            idempotency_key=one.idempotency_key,
            returned_at_ms=done.returned_at_ms[0],
            task_ids=one.task_ids,
        )

    def workflow(self, workflow_id: str) -> WorkflowRecord:
        """A workflow as it stands now; raises `WorkflowUnknown`."""
        key = workflow_key(workflow_id)
        found = self._store.get([key]).get(key)
        if found is None:
            raise WorkflowUnknown(workflow_id)
        return self._record(row_of(found.attributes))

    def workflow_nodes(self, workflow_id: str) -> tuple[NodeRecord, ...]:
        """The workflow's nodes in the order of its document; raises `WorkflowUnknown`."""
        record = self.workflow(workflow_id)
        names = load_names(self._store, workflow_id)
        marks = load_marks(self._store, ends_keys(workflow_id, record.counts.nodes))
        ids = {name: node_task_id(workflow_id, name) for name in names}
        ended = {name: marks[place].end.value for place, name in enumerate(names) if place in marks}
        going = self._statuses([ids[name] for name in names if name not in ended])
        return tuple(
            NodeRecord(name=name, task_id=ids[name], status=ended.get(name) or going.get(ids[name], "UNWRITTEN"))
            for name in names
        )

    def workflows(self, tenant_id: str, *, limit: int = LISTED_MAX) -> tuple[WorkflowRecord, ...]:
        """The tenant's latest workflows, the newest first."""
        listed = self._store.query(Table.TASKS, listed_pk(tenant_id), limit=min(limit, LISTED_MAX))
        keys = [workflow_key(text(item.attributes, "workflow_id")) for item in listed]
        found = self._store.get(keys) if keys else {}
        return tuple(self._record(row_of(found[key].attributes)) for key in keys if key in found)

    def wait_workflow(
        self, workflow_id: str, *, timeout_seconds: float, poll_seconds: float = POLL_SECONDS
    ) -> WorkflowRecord:
        """The workflow once it has ended; raises `StillRunning`. A system that should react without asking subscribes
        to the facts bus instead (`WorkflowEnded`).
        """
        until_ms = self._now_ms() + timeout_seconds * 1_000
        while True:
            try:
                record = self.workflow(workflow_id)
            except WorkflowUnknown:
                record = None
            if record is not None and record.terminal:
                return record
            if self._now_ms() >= until_ms:
                raise StillRunning([workflow_id], timeout_seconds, [workflow_id] if record is None else [])
            self._backoff.sleep(poll_seconds)

    def _record(self, row: WorkflowRow) -> WorkflowRecord:
        accepted = row.accepted
        marks = load_marks(self._store, ends_keys(accepted.workflow_id, accepted.nodes))
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

    def _statuses(self, task_ids: list[str]) -> dict[str, str]:
        keys = [task_key(task_id) for task_id in task_ids]
        parts = [self._store.get(keys[first : first + KEYS_MAX]) for first in range(0, len(keys), KEYS_MAX)]
        return {key.pk: status_of(item.attributes).value for found in parts for key, item in found.items()}
