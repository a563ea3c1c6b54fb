"""What the API answers, as values. Fields that this version does not know are passed over, so that a newer API can be
spoken to; times are Unix milliseconds, and what does not apply is None.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from pushlane.client.api.errors import FieldError
from pushlane.model.attempt import ErrorDetail
from pushlane.model.task import Status, Tier
from pushlane.model.workflow import WorkflowStatus, node_task_id


class Submitted(Struct, frozen=True, kw_only=True):
    """A task that is accepted. `agent_id`: who got it within the request. `position`: its place among what waits for
    the same kind of work, 1 is the next. `repeated`: it was accepted before, under the same key.
    """

    task_id: str
    status: Status
    idempotency_key: str
    agent_id: str | None = None
    position: int | None = None
    reason: str | None = None
    repeated: bool = False


class Refused(Struct, frozen=True, kw_only=True):
    """A task of a batch that is not accepted: its place, its key for a repeat, and why, as `ApiError` has it."""

    index: int
    idempotency_key: str
    status: int
    code: str
    detail: str
    errors: tuple[FieldError, ...] = ()
    retry_after_seconds: float | None = None


class Batch(Struct, frozen=True, kw_only=True):
    """What became of many tasks; together they are all of them, each in the order given."""

    accepted: tuple[Submitted, ...]
    refused: tuple[Refused, ...]


class SubmittedWorkflow(Struct, frozen=True, kw_only=True):
    """A workflow that is accepted, with the ids that its nodes' tasks have or will have. `repeated`: it was before."""

    workflow_id: str
    idempotency_key: str
    nodes: int
    repeated: bool = False

    def task_id(self, node: str) -> str:
        """The task of a node, known before it exists."""
        return node_task_id(self.workflow_id, node)


class TaskView(Struct, frozen=True, kw_only=True):
    """One task as it stands."""

    task_id: str
    tenant_id: str
    task_type: str
    status: Status
    tier: Tier
    pool: str
    epoch: int
    accepted_at_ms: int
    dispatched_at_ms: int | None = None
    started_at_ms: int | None = None
    finished_at_ms: int | None = None
    deadline_ms: int | None = None
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

    @property
    def terminal(self) -> bool:
        return self.status.terminal

    @property
    def at_rest(self) -> bool:
        """Nothing more comes of it by itself: it has ended, or is dead-lettered until somebody redrives it."""
        return self.status.at_rest


class TaskPage(Struct, frozen=True, kw_only=True):
    """Part of a list; `next_cursor` is None at its end."""

    tasks: tuple[TaskView, ...]
    next_cursor: str | None = None


class ResultView(Struct, frozen=True, kw_only=True):
    """How a task has ended. `result_url` in place of a result that is too large for an answer, for five minutes."""

    task_id: str
    status: Status
    result: dict[str, Any] | None = None
    result_url: str | None = None
    result_bytes: int | None = None
    error: ErrorDetail | None = None


class WhyView(Struct, frozen=True, kw_only=True):
    """Why a task is where it is, in a sentence and by code. `said`: all of it, as the API says it."""

    task_id: str
    status: Status
    explanation: str
    reason: str | None = None
    until_ms: int | None = None
    said: Mapping[str, Any] = {}


class Cancelled(Struct, frozen=True, kw_only=True):
    """`ordered`: its attempt is told, and ends at its next check-in or with its grace."""

    task_id: str
    status: Status
    ordered: bool = False


class Signalled(Struct, frozen=True, kw_only=True):
    """The signal is in the task's inbox. `resumed`: the task was waiting for it, and goes on."""

    task_id: str
    signal_id: str
    resumed: bool = False


class WorkflowView(Struct, frozen=True, kw_only=True):
    """A workflow as it stands. `counts`: its nodes by how they have ended."""

    workflow_id: str
    tenant_id: str
    status: WorkflowStatus
    accepted_at_ms: int
    counts: dict[str, int] = {}
    name: str | None = None
    pool: str | None = None
    started_at_ms: int | None = None
    ended_at_ms: int | None = None
    deadline_ms: int | None = None
    reason: str | None = None

    @property
    def terminal(self) -> bool:
        return self.status.terminal


class WorkflowPage(Struct, frozen=True, kw_only=True):
    """Part of a list; `next_cursor` is None at its end."""

    workflows: tuple[WorkflowView, ...]
    next_cursor: str | None = None


class NodeView(Struct, frozen=True, kw_only=True):
    """One node of a workflow: its task, and where that stands."""

    name: str
    task_id: str
    status: str


class NodeList(Struct, frozen=True, kw_only=True):
    """The nodes in the order of the workflow's document."""

    nodes: tuple[NodeView, ...]


class ScheduleView(Struct, frozen=True, kw_only=True):
    """A schedule. `next_at_ms`: when it is due next; None when it is paused or over. `task` and `workflow`: what it
    submits, as it was written.
    """

    schedule_id: str
    tenant_id: str
    revision: int
    created_at_ms: int
    changed_at_ms: int
    name: str
    expression: str
    timezone: str
    enabled: bool
    next_at_ms: int | None = None
    starts_at_ms: int | None = None
    ends_at_ms: int | None = None
    window_minutes: int = 0
    missed: dict[str, Any] = {}
    task: dict[str, Any] | None = None
    workflow: dict[str, Any] | None = None

    def as_body(self, **changed: Any) -> dict[str, Any]:
        """What `PUT` takes for the same schedule with these changes, made from this revision."""
        beside = ("schedule_id", "tenant_id", "revision", "created_at_ms", "changed_at_ms", "next_at_ms")
        said = {name: value for name, value in msgspec.structs.asdict(self).items() if name not in beside}
        kept = {name: value for name, value in said.items() if value is not None}
        return {**kept, "expect_revision": self.revision, **changed}


class SchedulePage(Struct, frozen=True, kw_only=True):
    """Part of a list; `next_cursor` is None at its end."""

    schedules: tuple[ScheduleView, ...]
    next_cursor: str | None = None


class TenantView(Struct, frozen=True, kw_only=True):
    """A registered tenant. `status`: `active`, `suspended`, or `erasing`: shut out for good."""

    tenant_id: str
    status: str
    created_at_ms: int | None = None


class Ticket(Struct, frozen=True, kw_only=True):
    """What a browser hands on as the query parameter `ticket`, because it can set no header."""

    ticket: str
    expires_at_ms: int
