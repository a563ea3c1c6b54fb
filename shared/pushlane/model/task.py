"""The task: one unit of agent work, its status and the table of allowed transitions."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

DEFAULT_POOL: Final = "default"


class Tier(StrEnum):
    """Priority classes, most urgent first."""

    CRITICAL = "critical"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"
    BACKGROUND = "background"


class Door(StrEnum):
    """The way a submission came in."""

    EVENTBRIDGE = "eventbridge"
    SNS = "sns"
    SQS = "sqs"
    KINESIS = "kinesis"


class Status(StrEnum):
    """Where a task stands. Whether a dispatched attempt has started is the attempt's own state, not the task's."""

    PARKED = "PARKED"
    DISPATCHED = "DISPATCHED"
    RETRYING = "RETRYING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"

    @property
    def terminal(self) -> bool:
        return not TRANSITIONS[self]


# The state machine, as one table: from -> to. Every change of a status is made by it; `docs/state-machine.md` shows it.
ENTRY_STATES: Final = frozenset({Status.PARKED, Status.DISPATCHED, Status.EXPIRED})
TRANSITIONS: Final[Mapping[Status, frozenset[Status]]] = {
    Status.PARKED: frozenset({Status.DISPATCHED, Status.EXPIRED}),
    Status.DISPATCHED: frozenset({Status.SUCCEEDED, Status.RETRYING, Status.FAILED, Status.PARKED, Status.EXPIRED}),
    Status.RETRYING: frozenset({Status.DISPATCHED, Status.PARKED, Status.EXPIRED}),
    Status.SUCCEEDED: frozenset(),
    Status.FAILED: frozenset(),
    Status.EXPIRED: frozenset(),
}


class DeadlineKind(StrEnum):
    """`HARD`: worthless when late, so it expires once it cannot be made. `SOFT`: late is worse, and still wanted."""

    SOFT = "soft"
    HARD = "hard"


class Penalty(StrEnum):
    """How lateness of a soft deadline grows; `pushlane.scheduling.deadlines` has the functions."""

    STEP = "step"
    LINEAR = "linear"
    QUADRATIC = "quadratic"


class Estimate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the producer expects one attempt to cost."""

    runtime_seconds: Annotated[float, Meta(gt=0, le=86_400)] = 30.0
    tokens: Annotated[int, Meta(ge=0, le=100_000_000)] = 0


class RetryPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounded retries with exponential backoff. `max_attempts` counts the first try."""

    max_attempts: Annotated[int, Meta(ge=1, le=10)] = 3
    backoff_seconds: Annotated[float, Meta(ge=0.1, le=900)] = 1.0
    backoff_max_seconds: Annotated[float, Meta(ge=0.1, le=3_600)] = 60.0


class Source(Struct, frozen=True, kw_only=True):
    """Which record of which door the task came from; a redelivery of that very record is recognised by it."""

    door: Door
    source_id: str


class Task(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An admitted submission, normalised: the same whatever door it came through.

    `payload` is the producer's JSON object, or a claim check (`pushlane.model.claim_check`) naming it in S3.
    `home_pool`: the pool that it was submitted to, when that one's lane was full and `pool` took it over.
    `body_digest` tells a repeat (same key, same body) from a conflict (same key, other body).
    """

    task_id: str
    tenant_id: str
    task_type: str
    capabilities: tuple[str, ...]
    payload: dict[str, Any]
    source: Source
    body_digest: str
    accepted_at_ms: int
    pool: str = DEFAULT_POOL
    home_pool: str | None = None
    tier: Tier = Tier.NORMAL
    deadline_ms: int | None = None
    deadline_kind: DeadlineKind = DeadlineKind.SOFT
    penalty: Penalty = Penalty.STEP
    resources: dict[str, int] = msgspec.field(default_factory=dict)
    estimate: Estimate = Estimate()
    retry: RetryPolicy = RetryPolicy()
    idempotency_key: str | None = None
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    correlation_id: str | None = None
    traceparent: str | None = None
    depth: int = 0
