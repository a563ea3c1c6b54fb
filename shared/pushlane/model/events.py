"""The versioned events: what producers send, what travels inside, and the facts that are published.

Every event is an envelope `{"metadata": {...}, "data": {...}}`. The JSON Schemas in `docs/events/` come from here.
A field added later has a default; a field that changes its meaning gets a new version.
"""

from enum import StrEnum
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from pushlane.model.attempt import Outcome, Usage
from pushlane.model.callback import Callback
from pushlane.model.envelope_proof import Proof
from pushlane.model.ids import INTAKE_SLOTS, IdempotencyKey, Identifier
from pushlane.model.signals import Signal
from pushlane.model.task import DEFAULT_POOL, DeadlineKind, Door, Estimate, ParentTask, Penalty, RetryPolicy, Tier
from pushlane.model.times import TimeMs
from pushlane.model.workflow import ParentResult

SUBMIT_DETAIL_TYPE: Final = "SubmitTask"
SET_POLICY_DETAIL_TYPE: Final = "SetPolicy"
FACT_SOURCE: Final = "pushlane"
CAUSATION_DEPTH_MAX: Final = 8
LABELS_MAX: Final = 10
TOKEN_CHARACTERS_MAX: Final = 8_192

Capabilities = Annotated[tuple[Identifier, ...], Meta(min_length=1, max_length=10)]
ResourceAmounts = Annotated[dict[Identifier, Annotated[int, Meta(ge=1, le=10**9)]], Meta(max_length=5)]
Labels = Annotated[dict[Identifier, Annotated[str, Meta(max_length=128)]], Meta(max_length=LABELS_MAX)]


class SubmitMetadata(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Says what the envelope holds. `depth` counts facts that caused submissions, so that a loop ends. `intake` is the
    tenant's intake slot: channels route by it, and it says nothing about the task (unset or wrong costs isolation).
    `proof` binds the tenant to a credential; `token`, the reservation token of the attempt that submits a child, does
    so too. `submitted_at_ms`: when it was sent, by the sender's clock; only its trace goes by it.
    """

    name: Literal["SubmitTask"]
    version: Literal[1]
    correlation_id: Annotated[str, Meta(max_length=128)] | None = None
    traceparent: Annotated[str, Meta(max_length=64)] | None = None
    depth: Annotated[int, Meta(ge=0, le=CAUSATION_DEPTH_MAX)] = 0
    intake: Annotated[int, Meta(ge=0, lt=INTAKE_SLOTS)] | None = None
    proof: Proof | None = None
    token: Annotated[str, Meta(max_length=TOKEN_CHARACTERS_MAX)] | None = None
    submitted_at_ms: TimeMs | None = None


class SubmitData(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One task to do. Without `capabilities` the task asks for an agent capable of its `task_type`. `resources`: how
    much of which shared resource one attempt needs, beside what the policy says of its type. `callback`: where its end
    is told, instead of the tenant's default.
    """

    tenant_id: Identifier
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


class SubmitTask(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The one event that producers send, through any door."""

    metadata: SubmitMetadata
    data: SubmitData


class SetPolicyMetadata(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Says what the envelope holds."""

    name: Literal["SetPolicy"]
    version: Literal[1]
    correlation_id: Annotated[str, Meta(max_length=128)] | None = None
    traceparent: Annotated[str, Meta(max_length=64)] | None = None


class SetPolicyData(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The policy to set. `expect_revision`: the revision that it was made from; it is refused if another is current."""

    policy: Annotated[dict[str, Any], Meta(description="A policy as in docs/policy.schema.json")]
    expect_revision: Annotated[int, Meta(ge=0)] | None = None


class SetPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Operator -> router, over the ingress bus: make this the current policy."""

    metadata: SetPolicyMetadata
    data: SetPolicyData


class HeldRecord(Struct, frozen=True, kw_only=True):
    """Router -> itself, later: a submission whose tenant is over its bound, as it was (`body`) and with the identity
    that it had at its door, so that it stays the same submission however often it is delivered. `bound_tenant`: whose
    door that was. `sent_at_ms`: since when that has had it.
    """

    door: Door
    source_id: Annotated[str, Meta(min_length=1, max_length=256)]
    body: msgspec.Raw
    bound_tenant: Identifier | None = None
    sent_at_ms: int | None = None
    v: Literal[1] = 1


class Dispatch(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Router -> agent: do this attempt. `attempt_pk` and `task_id` address the one item the agent may write.

    `checkpoint`: where the attempt before this one stopped. `signals`: all that the task ever got. `parents`: by name
    in the workflow; `parents_claim` instead where they are large. `lease_until_ms`: by then it has to be started.
    `ends_at_ms`: no lease reaches beyond it. `whole`: this document as it would be, where that is too large for the
    agent's endpoint: a claim check, and then payload, checkpoint, signals and parents stand only there.
    """

    task_id: str
    tenant_id: str
    task_type: str
    epoch: int
    pool: str
    agent_id: str
    attempt_pk: str
    token: str
    payload: dict[str, Any]
    deadline_ms: int | None = None
    correlation_id: str | None = None
    traceparent: str | None = None
    cause_depth: int = 0
    checkpoint: dict[str, Any] | None = None
    signals: tuple[Signal, ...] = ()
    parents: dict[str, ParentResult] = {}
    parents_claim: dict[str, Any] | None = None
    workflow_id: str | None = None
    node: str | None = None
    lease_seconds: float = 30.0
    stall_seconds: float | None = None
    lease_until_ms: int | None = None
    ends_at_ms: int | None = None
    whole: dict[str, Any] | None = None
    v: int = 1


class Nudge(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Agent -> router: the attempt is FINISHED, look. The attempt item is the truth; this only saves a read, unless it
    ever waited: then what it holds is not what the token says, and stands there alone. `traceparent`: the attempt's.
    """

    token: str
    runner: str
    outcome: Outcome
    waits: int = 0
    traceparent: str | None = None
    v: int = 1


class Waits(Struct, frozen=True, kw_only=True):
    """Agent -> router: the attempt holds its reservation in vain, and has written so (`waiting`, `waits` = number) on
    its item, which is the truth. `number` counts the attempt's waits from 1. `usage`: all that it reported so far.
    """

    token: str
    runner: str
    number: int
    usage: Usage = Usage()
    word: Literal["waits"] = "waits"
    v: Literal[1] = 1


class Back(Struct, frozen=True, kw_only=True):
    """Agent -> router: that wait is over, and what was given back is needed again; the attempt looks at its own item
    until `granted` = number.
    """

    token: str
    runner: str
    number: int
    word: Literal["back"] = "back"
    v: Literal[1] = 1


class WakeUp(Struct, frozen=True, kw_only=True):
    """A delayed message to ourselves: run a turn on `pool`. Only the recorded generation arms the next one."""

    pool: str
    generation: int
    due_ms: int
    v: int = 1


class FactName(StrEnum):
    """Everything that is published. The first group are changes of a task, the rest are things that happened beside."""

    TASK_ACCEPTED = "TaskAccepted"
    TASK_PARKED = "TaskParked"
    TASK_DISPATCHED = "TaskDispatched"
    TASK_STARTED = "TaskStarted"
    TASK_RETRYING = "TaskRetrying"
    TASK_BLOCKED = "TaskBlocked"
    TASK_WAITING = "TaskWaiting"
    TASK_SUSPENDED = "TaskSuspended"
    TASK_DEAD_LETTERED = "TaskDeadLettered"
    TASK_CANCELLED = "TaskCancelled"
    TASK_SUCCEEDED = "TaskSucceeded"
    TASK_FAILED = "TaskFailed"
    TASK_EXPIRED = "TaskExpired"
    TASK_REJECTED = "TaskRejected"
    RESULT_STALE = "ResultStale"
    COMMAND_REFUSED = "CommandRefused"
    SIGNAL_ACCEPTED = "SignalAccepted"
    WORKFLOW_ACCEPTED = "WorkflowAccepted"
    WORKFLOW_STARTED = "WorkflowStarted"
    WORKFLOW_ENDED = "WorkflowEnded"
    SCHEDULE_FIRED = "ScheduleFired"
    SCHEDULE_MISSED = "ScheduleMissed"
    AGENT_UNAVAILABLE = "AgentUnavailable"
    AGENT_AVAILABLE = "AgentAvailable"
    CAPACITY_REPAIRED = "CapacityRepaired"
    BACKPRESSURE_CHANGED = "BackpressureChanged"
    BUDGET_EXCEEDED = "BudgetExceeded"
    RESOURCE_PAUSED = "ResourcePaused"
    POLICY_CHANGED = "PolicyChanged"
    POLICY_REFUSED = "PolicyRefused"


class FactMetadata(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`fact_id` is the same for every redelivery of the fact: consumers deduplicate by it."""

    name: FactName
    fact_id: str
    occurred_at_ms: int
    version: int = 1
    correlation_id: str | None = None
    traceparent: str | None = None
    depth: int = 0


class FactData(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the fact is about; absent fields do not apply. Times are Unix milliseconds.

    `code`: the reason for programs (`on` and `off` of backpressure). The end of a task that had a deadline says how
    long after it that was (`lateness_ms`, below zero: before) and whether the deadline was `missed`, as it is by a task
    that fails or expires; `penalty` is what the miss costs by the task's own penalty function, 0 when it was met.
    `queued_at_ms`: since when the attempt lay in its agent's queue. `parent_task_id`: the task that this one is
    attached to. `unblock_ms`: from the end of its last parent until a task of a workflow could go. `counts`: of a
    workflow that has ended, its nodes by how they had ended by then. `callback`: the courier tells somebody of it.
    """

    tenant_id: str | None = None
    task_id: str | None = None
    task_type: str | None = None
    tier: Tier | None = None
    pool: str | None = None
    agent_id: str | None = None
    epoch: int | None = None
    door: str | None = None
    accepted_at_ms: int | None = None
    dispatched_at_ms: int | None = None
    queued_at_ms: int | None = None
    started_at_ms: int | None = None
    finished_at_ms: int | None = None
    reason: str | None = None
    field: str | None = None
    code: str | None = None
    retry_after_seconds: int | None = None
    resource: str | None = None
    revision: int | None = None
    changed_by: str | None = None
    deadline_ms: int | None = None
    lateness_ms: int | None = None
    missed: bool | None = None
    penalty: float | None = None
    workflow_id: str | None = None
    node: str | None = None
    parent_task_id: str | None = None
    status: str | None = None
    unblock_ms: int | None = None
    counts: dict[str, int] | None = None
    schedule_id: str | None = None
    scheduled_at_ms: int | None = None
    result: dict[str, Any] | None = None
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    callback: bool | None = None


class Fact(Struct, frozen=True, kw_only=True):
    """Something that happened, as published on the facts bus and topic."""

    metadata: FactMetadata
    data: FactData
