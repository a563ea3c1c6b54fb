"""Workflows of the producer: submit a set of tasks with dependencies, see where it stands, wait for its end."""

from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

from pushlane.aws.backoff import Backoff
from pushlane.client.commands import door_of
from pushlane.client.delivery import deliver
from pushlane.client.doors import DoorSender, Record
from pushlane.client.errors import StillRunning, SubmissionRefused, WorkflowUnknown
from pushlane.client.signing import signed
from pushlane.client.workflow_envelope import Described, prepare_workflow
from pushlane.client.workflow_records import (
    LISTED_MAX,
    NodeRecord,
    WorkflowRecord,
    nodes_of,
    workflow_of,
    workflows_of,
)
from pushlane.model.envelope_proof import EnvelopeKey
from pushlane.model.task import Door
from pushlane.model.workflow_document import SUBMIT_WORKFLOW
from pushlane.ports import BlobStore, ItemStore

POLL_SECONDS: Final = 0.5


class SubmittedWorkflow(Struct, frozen=True, kw_only=True):
    """A workflow that a door has taken. `task_ids`: by the names of its nodes, known before any of them exists."""

    workflow_id: str
    tenant_id: str
    door: Door
    idempotency_key: str
    returned_at_ms: int
    task_ids: dict[str, str]


class Workflows:
    """Submits workflows and reads them back."""

    _doors: Mapping[Door, DoorSender]
    _store: ItemStore
    _blobs: BlobStore
    _now_ms: Callable[[], int]
    _new_key: Callable[[], str]
    _backoff: Backoff
    _envelope_key: EnvelopeKey | None

    def submit_workflow(
        self, workflow: Described, *, door: Door | str = Door.SQS, correlation_id: str | None = None
    ) -> SubmittedWorkflow:
        """Submit a set of tasks with dependencies. Raises `InvalidSubmission` (naming the field, and the cycle) before
        anything is sent, and `SubmissionRefused` when the door did not take it; a repeat under its key is safe.
        """
        way = door_of(door)
        one = prepare_workflow(workflow, blobs=self._blobs, new_key=self._new_key, correlation_id=correlation_id)
        tenant_id = one.event.data.tenant_id
        body = signed(one.encoded(), SUBMIT_WORKFLOW, self._envelope_key)
        record = Record(index=0, tenant_id=tenant_id, body=body, detail_type=SUBMIT_WORKFLOW)
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
        return workflow_of(self._store, workflow_id)

    def workflow_nodes(self, workflow_id: str) -> tuple[NodeRecord, ...]:
        """The workflow's nodes in the order of its document; raises `WorkflowUnknown`."""
        return nodes_of(self._store, workflow_of(self._store, workflow_id))

    def workflows(self, tenant_id: str, *, limit: int = LISTED_MAX) -> tuple[WorkflowRecord, ...]:
        """The tenant's latest workflows, the newest first."""
        return workflows_of(self._store, tenant_id, limit=limit)

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
