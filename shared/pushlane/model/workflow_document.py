"""A workflow as a producer writes it: nodes with edges to those they depend on, inline or behind a claim check."""

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from pushlane.model.claim_check import FIELD, INLINE_BYTES_MAX, ClaimCheck, as_claim_check, claim_prefix
from pushlane.model.envelope_proof import Proof
from pushlane.model.errors import InvalidEvent
from pushlane.model.events import CAUSATION_DEPTH_MAX, LABELS_MAX, Capabilities, Labels, ResourceAmounts, SubmitData
from pushlane.model.ids import INTAKE_SLOTS, IdempotencyKey, Identifier
from pushlane.model.nesting import NESTING_MAX, nests_too_deep
from pushlane.model.task import DEFAULT_POOL, DeadlineKind, Estimate, Penalty, RetryPolicy, Tier
from pushlane.model.times import TimeMs
from pushlane.model.workflow import OnFailure

SUBMIT_WORKFLOW: Final = "SubmitWorkflow"
NODES_MAX: Final = 1_000
PARENTS_MAX: Final = 1_000
EDGES_MAX: Final = 20_000
TASKS_PATH: Final = "$.data.tasks"


class Edge(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Depends on `node`. Written as a plain string, it is an edge with `on_failure: fail`."""

    node: Identifier
    on_failure: OnFailure = OnFailure.FAIL


class Node(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One task of a workflow, called `name` within it. `tier`, `pool` and each label count before the workflow's own;
    the other fields are those of a task submitted alone.
    """

    name: Identifier
    task_type: Identifier
    payload: dict[str, Any] = msgspec.field(default_factory=dict)
    depends_on: Annotated[tuple[Identifier | Edge, ...], Meta(max_length=PARENTS_MAX)] = ()
    tier: Tier | None = None
    pool: Identifier | None = None
    capabilities: Capabilities | None = None
    deadline_ms: TimeMs | None = None
    deadline_kind: DeadlineKind = DeadlineKind.SOFT
    penalty: Penalty = Penalty.STEP
    resources: ResourceAmounts = msgspec.field(default_factory=dict)
    estimate: Estimate = Estimate()
    retry: RetryPolicy = RetryPolicy()
    labels: Labels = msgspec.field(default_factory=dict)

    @property
    def edges(self) -> tuple[Edge, ...]:
        return tuple(Edge(node=one) if isinstance(one, str) else one for one in self.depends_on)


Nodes = Annotated[tuple[Node, ...], Meta(min_length=1, max_length=NODES_MAX)]


class NodeSet(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The JSON object behind a claim check: the nodes of a workflow that is too large for an event."""

    tasks: Nodes


class ClaimedNodes(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Stands for the nodes of a workflow that is too large for an event: a claim check of a `NodeSet`."""

    claim: ClaimCheck = msgspec.field(name=FIELD)


class WorkflowMetadata(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Says what the envelope holds; as that of `SubmitTask`."""

    name: Literal["SubmitWorkflow"]
    version: Literal[1]
    correlation_id: Annotated[str, Meta(max_length=128)] | None = None
    traceparent: Annotated[str, Meta(max_length=64)] | None = None
    depth: Annotated[int, Meta(ge=0, le=CAUSATION_DEPTH_MAX)] = 0
    intake: Annotated[int, Meta(ge=0, lt=INTAKE_SLOTS)] | None = None
    proof: Proof | None = None


class WorkflowData(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A set of tasks with dependencies. `tier`, `pool` and `labels` are those of every node that has none of its own.

    `deadline_ms` is when the last node should have ended; each node gets its own from it, by the longest path of
    estimated runtimes behind it. `hard`: what has not ended by then is ended.
    """

    tenant_id: Identifier
    tasks: Nodes | ClaimedNodes
    name: Identifier | None = None
    tier: Tier = Tier.NORMAL
    pool: Identifier = DEFAULT_POOL
    labels: Labels = msgspec.field(default_factory=dict)
    deadline_ms: TimeMs | None = None
    deadline_kind: DeadlineKind = DeadlineKind.SOFT
    penalty: Penalty = Penalty.STEP
    idempotency_key: IdempotencyKey | None = None


class SubmitWorkflow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Many tasks and the order they ask for, in one event, through any door."""

    metadata: WorkflowMetadata
    data: WorkflowData


def submission_of(node: Node, data: WorkflowData) -> SubmitData:
    """The node as if it had been submitted alone, the workflow's defaults filled in."""
    return SubmitData(
        tenant_id=data.tenant_id,
        task_type=node.task_type,
        payload=node.payload,
        tier=data.tier if node.tier is None else node.tier,
        pool=data.pool if node.pool is None else node.pool,
        capabilities=node.capabilities,
        deadline_ms=node.deadline_ms,
        deadline_kind=node.deadline_kind,
        penalty=node.penalty,
        resources=node.resources,
        estimate=node.estimate,
        retry=node.retry,
        labels=data.labels | node.labels,
    )


def check_nodes(data: WorkflowData, nodes: tuple[Node, ...]) -> None:
    """What no single field can say of itself, node by node; raises `InvalidEvent` with its path."""
    for path, node in _located(nodes):
        _check_payload(f"{path}.payload", node.payload, data.tenant_id)
        if node.retry.backoff_max_seconds < node.retry.backoff_seconds:
            raise InvalidEvent(f"{path}.retry.backoff_max_seconds", "is below backoff_seconds")
        if len(data.labels | node.labels) > LABELS_MAX:
            raise InvalidEvent(f"{path}.labels", f"with the workflow's own, more than {LABELS_MAX} labels")


def _located(nodes: tuple[Node, ...]) -> Iterator[tuple[str, Node]]:
    return ((f"{TASKS_PATH}[{index}]", node) for index, node in enumerate(nodes))


def _check_payload(path: str, payload: dict[str, Any], tenant_id: str) -> None:
    if nests_too_deep(payload):
        raise InvalidEvent(path, f"nests deeper than {NESTING_MAX} levels", "too_deep")
    try:
        claim = as_claim_check(payload)
    except msgspec.ValidationError as error:
        raise InvalidEvent(f"{path}.{FIELD}", str(error)) from error
    if claim is not None:
        check_claim(f"{path}.{FIELD}", claim, tenant_id)
    if (size := len(msgspec.json.encode(payload))) > INLINE_BYTES_MAX:
        reason = f"{size} bytes of JSON, {INLINE_BYTES_MAX} fit into a task: store it and name a claim check"
        raise InvalidEvent(path, f"{reason} (the client does)", "oversize")


def check_claim(path: str, claim: ClaimCheck, tenant_id: str) -> None:
    """A claim check must lie under the tenant's own claims; raises `InvalidEvent`."""
    if not claim.key.startswith(claim_prefix(tenant_id)):
        raise InvalidEvent(f"{path}.key", "does not lie under the tenant's own claims", "foreign_claim")
