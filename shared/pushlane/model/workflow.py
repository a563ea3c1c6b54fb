"""The workflow: a set of tasks with dependencies, submitted together. Its states, and each task's place in it.

What a producer submits is `pushlane.model.workflow_document`; this is what is kept, and what a task carries.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

from pushlane.model.ids import digest


class OnFailure(StrEnum):
    """What an edge does when its parent has not succeeded: the child fails, is skipped (cancelled), or runs anyhow."""

    FAIL = "fail"
    SKIP = "skip"
    CONTINUE = "continue"


class ParentEdge(Struct, frozen=True, array_like=True):
    """A node's edge to one of its parents."""

    node: str
    task_id: str
    on_failure: OnFailure = OnFailure.FAIL


class ChildEdge(Struct, frozen=True, array_like=True):
    """The same edge as the parent has it: `position` is its place among the child's `parents` edges, which is all that
    is needed to note at the child how this parent ended.
    """

    node: str
    position: int
    parents: int
    on_failure: OnFailure = OnFailure.FAIL


class WorkflowPlace(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a task stands in its workflow: its node's name and place in the document, `nodes` of them in all, its
    parents and its children. `unblocks`: how many nodes wait for it, directly or not.
    """

    workflow_id: str
    node: str
    index: int
    nodes: int
    parents: tuple[ParentEdge, ...] = ()
    children: tuple[ChildEdge, ...] = ()
    unblocks: int = 0


class ParentResult(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a parent ended, as its child is told: a task status, and its result (or the claim check of it) if it
    succeeded.
    """

    status: str
    result: dict[str, Any] | None = None


class WorkflowStatus(StrEnum):
    """Where a workflow stands. `PENDING`: accepted, its nodes are being written."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"

    @property
    def terminal(self) -> bool:
        return not WORKFLOW_TRANSITIONS[self]


_ENDS: Final = frozenset(
    {WorkflowStatus.SUCCEEDED, WorkflowStatus.FAILED, WorkflowStatus.CANCELLED, WorkflowStatus.EXPIRED}
)
# The state machine, as one table: from -> to.
WORKFLOW_TRANSITIONS: Final[Mapping[WorkflowStatus, frozenset[WorkflowStatus]]] = {
    WorkflowStatus.PENDING: frozenset({WorkflowStatus.ACTIVE, WorkflowStatus.CANCELLED, WorkflowStatus.EXPIRED}),
    WorkflowStatus.ACTIVE: _ENDS,
    **dict.fromkeys(_ENDS, frozenset[WorkflowStatus]()),
}


def keyed_workflow_id(tenant_id: str, idempotency_key: str) -> str:
    """The id of a workflow submitted with an idempotency key: the same through every door."""
    return "w-" + digest("workflow", "key", tenant_id, idempotency_key)


def unkeyed_workflow_id(tenant_id: str, door: str, source_id: str) -> str:
    """The id of a workflow submitted without a key: the same for every redelivery of the one source record."""
    return "w-" + digest("workflow", "source", tenant_id, door, source_id)


def node_task_id(workflow_id: str, node: str) -> str:
    """The task id of a node: the same however often the workflow's nodes are written."""
    return "t-" + digest("node", workflow_id, node)
