"""What callers send to submit: events' data without the tenant, which comes from the credential."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from pushlane.api.strict import OneOf
from pushlane.model.callback import Callback
from pushlane.model.events import Capabilities, Labels, ResourceAmounts, SubmitData
from pushlane.model.ids import IdempotencyKey, Identifier
from pushlane.model.task import DEFAULT_POOL, DeadlineKind, Estimate, ParentTask, Penalty, RetryPolicy, Tier
from pushlane.model.times import TimeMs
from pushlane.model.workflow_document import ClaimedNodes, Nodes, WorkflowData

BATCH_MAX = 100

CorrelationId = Annotated[str, Meta(max_length=128)]


class TaskBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One task to do. Without `capabilities` it asks for an agent capable of its `task_type`. A payload of more than
    64 KiB is stored for the agent and named in the task.
    """

    task_type: Identifier
    payload: dict[str, Any] = msgspec.field(default_factory=dict)
    tier: Tier = Tier.NORMAL
    pool: Identifier = DEFAULT_POOL
    capabilities: Capabilities | None = None
    deadline_ms: TimeMs | None = None
    deadline_kind: DeadlineKind = DeadlineKind.SOFT
    penalty: Penalty = Penalty.STEP
    resources: ResourceAmounts = msgspec.field(default_factory=dict)
    estimate: Estimate = Estimate()
    retry: RetryPolicy = RetryPolicy()
    idempotency_key: IdempotencyKey | None = None
    labels: Labels = msgspec.field(default_factory=dict)
    parent: ParentTask | None = None
    callback: Callback | None = None
    correlation_id: CorrelationId | None = None

    def submission(self, tenant_id: str) -> SubmitData:
        """The same as an event of the tenant says it."""
        said = {name: getattr(self, name) for name in SubmitData.__struct_fields__ if name != "tenant_id"}
        return SubmitData(tenant_id=tenant_id, **said)


class WorkflowBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A set of tasks with dependencies. `tier`, `pool` and `labels` are of every node that has none of its own."""

    tasks: Nodes | ClaimedNodes
    name: Identifier | None = None
    tier: Tier = Tier.NORMAL
    pool: Identifier = DEFAULT_POOL
    labels: Labels = msgspec.field(default_factory=dict)
    deadline_ms: TimeMs | None = None
    deadline_kind: DeadlineKind = DeadlineKind.SOFT
    penalty: Penalty = Penalty.STEP
    idempotency_key: IdempotencyKey | None = None
    correlation_id: CorrelationId | None = None

    def submission(self, tenant_id: str) -> WorkflowData:
        """The same as an event of the tenant says it."""
        said = {name: getattr(self, name) for name in self.__struct_fields__ if name != "correlation_id"}
        return WorkflowData(tenant_id=tenant_id, **said)


class TaskBatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Up to 100 tasks. Each has an outcome of its own; none depends on another."""

    tasks: Annotated[tuple[TaskBody, ...], Meta(min_length=1, max_length=BATCH_MAX)]


class WorkflowWrapped(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A workflow, as `POST /v1/workflows` takes it."""

    workflow: WorkflowBody


SUBMIT = OneOf(types=(TaskBatch, WorkflowWrapped, TaskBody), marks=("tasks", "workflow"))
