"""The task: one unit of agent work, its status and the table of allowed transitions."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from pushlane.model.callback import Callback
from pushlane.model.ids import Identifier
from pushlane.model.workflow import WorkflowPlace

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
    SCHEDULE = "schedule"
    HTTP = "http"


# The doors that take events, as producers name them; what comes through the others has an answer, or no sender.
EVENT_DOORS: Final = (Door.EVENTBRIDGE, Door.SNS, Door.SQS, Door.KINESIS)


class Status(StrEnum):
    """Where a task stands. Whether a dispatched attempt has started is the attempt's own state, not the task's."""

    BLOCKED = "BLOCKED"  # waits for other tasks of its workflow
    PARKED = "PARKED"  # waits in its lane
    DISPATCHED = "DISPATCHED"  # an attempt holds a reservation
    WAITING = "WAITING"  # its attempt goes on, and has given its reservation back for a while
    SUSPENDED = "SUSPENDED"  # no attempt: it sleeps, or waits for a signal
    RETRYING = "RETRYING"  # the next attempt has to wait for its time
    DEAD_LETTERED = "DEAD_LETTERED"  # at rest with its retries used up, until somebody redrives or discards it
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"

    @property
    def terminal(self) -> bool:
        return not TRANSITIONS[self]

    @property
    def at_rest(self) -> bool:
        """Nothing more comes of it by itself: it is terminal, or lies among the dead letters."""
        return self.terminal or self is Status.DEAD_LETTERED


# The state machine, as one table: from -> to. Every change of a status is made by it; `docs/state-machine.md` shows it.
ENTRY_STATES: Final = frozenset({Status.PARKED, Status.DISPATCHED, Status.EXPIRED, Status.BLOCKED})
_STARTS: Final = frozenset({Status.DISPATCHED, Status.PARKED})
_GIVEN_UP: Final = frozenset({Status.CANCELLED, Status.EXPIRED})
TRANSITIONS: Final[Mapping[Status, frozenset[Status]]] = {
    Status.BLOCKED: _STARTS | _GIVEN_UP | {Status.FAILED},
    Status.PARKED: _GIVEN_UP | {Status.DISPATCHED},
    Status.DISPATCHED: _GIVEN_UP
    | {Status.SUCCEEDED, Status.FAILED, Status.DEAD_LETTERED}
    | {Status.RETRYING, Status.PARKED, Status.SUSPENDED, Status.WAITING},
    Status.WAITING: _STARTS
    | _GIVEN_UP
    | {Status.SUCCEEDED, Status.FAILED, Status.DEAD_LETTERED}
    | {Status.RETRYING, Status.SUSPENDED},
    Status.SUSPENDED: _STARTS | _GIVEN_UP,
    Status.RETRYING: _STARTS | _GIVEN_UP,
    Status.DEAD_LETTERED: frozenset({Status.RETRYING, Status.FAILED, Status.CANCELLED}),
    Status.SUCCEEDED: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELLED: frozenset(),
    Status.EXPIRED: frozenset(),
}


# Ends without a result that the agent is to blame for.
FAILURES: Final = frozenset({Status.FAILED, Status.DEAD_LETTERED})


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


class Exhausted(StrEnum):
    """What becomes of a task whose retries are used up."""

    DEAD_LETTER = "dead-letter"
    FAIL = "fail"


class RetryPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Bounded retries with exponential backoff. `max_attempts` counts the first try. Escalation: the next attempt goes
    to another agent where one is free (`other_agent`), from attempt `other_pool_from` on to another pool, and in the
    end to the dead letters or to FAILED (`exhausted`).
    """

    max_attempts: Annotated[int, Meta(ge=1, le=10)] = 3
    backoff_seconds: Annotated[float, Meta(ge=0.1, le=900)] = 1.0
    backoff_max_seconds: Annotated[float, Meta(ge=0.1, le=3_600)] = 60.0
    other_agent: bool = True
    other_pool: Identifier | None = None
    other_pool_from: Annotated[int, Meta(ge=2, le=10)] = 2
    exhausted: Exhausted = Exhausted.DEAD_LETTER


class ParentTask(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The task whose attempt submitted this one. `attached`: it hears of this one's end, and takes it along when it is
    cancelled.
    """

    task_id: Identifier
    attached: bool = True


class Source(Struct, frozen=True, kw_only=True):
    """Which record of which door the task came from; a redelivery of that very record is recognised by it."""

    door: Door
    source_id: str


class Task(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An admitted submission, normalised: the same whatever door it came through.

    `payload` is the producer's JSON object, or a claim check (`pushlane.model.claim_check`) naming it in S3.
    `submitted_at_ms`: when its producer sent it, where that says so; `sent_at_ms`: since when its door's channel has
    had it, where that is known.
    `home_pool`: the pool that it was submitted to, when that one's lane was full and `pool` took it over.
    `children`: an attempt of it submitted tasks that are attached to it. `callback`: its own, or its tenant's default
    at the time of its acceptance.
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
    submitted_at_ms: int | None = None
    sent_at_ms: int | None = None
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
    parent: ParentTask | None = None
    workflow: WorkflowPlace | None = None
    children: bool = False
    callback: Callback | None = None

    @property
    def tells(self) -> bool:
        """Others have to hear of its end: its workflow, the task that it is attached to, those attached to it."""
        return self.children or self.workflow is not None or (self.parent is not None and self.parent.attached)
