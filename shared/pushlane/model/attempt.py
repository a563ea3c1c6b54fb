"""The attempt: one try of a task, numbered by its epoch, owned by the one invocation (runner) that started it."""

from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct

from pushlane.model.ids import digest
from pushlane.model.task import Tier


class OutcomeKind(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    YIELDED = "yielded"  # gave its slot back at a checkpoint, because it was asked to


class ErrorDetail(Struct, frozen=True, kw_only=True):
    """Why an attempt failed; kept with the task. `retryable` is the agent's own word."""

    error_type: str
    message: str
    retryable: bool = True


class Throttled(Struct, frozen=True, kw_only=True):
    """A provider refused a call (a 429): the resource pauses for everyone for this long."""

    resource: str
    retry_after_seconds: float


class Usage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the attempt really used, as its agent reports it; what is not reported counts as estimated."""

    tokens: int | None = None
    resources: dict[str, int] = {}


class Outcome(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the runner says of its attempt. `result` is a JSON object or a claim check; `checkpoint` is where a yielded
    attempt goes on.
    """

    kind: OutcomeKind
    started_at_ms: int
    finished_at_ms: int
    result: dict[str, Any] | None = None
    error: ErrorDetail | None = None
    usage: Usage = Usage()
    throttled: Throttled | None = None
    checkpoint: dict[str, Any] | None = None


class Hold(Struct, frozen=True, array_like=True):
    """So much of one resource, drawn from one of its shards. `slots`: it is counted as in use until it is released,
    whatever the policy has made of the resource meanwhile.
    """

    resource: str
    amount: int
    shard: int = 0
    slots: bool = False


class Reservation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that one attempt holds, and what it was charged: enough to give it all back and true it up.

    `cost_ms`: estimated, of slot time and tokens. `charged`: its tenant's virtual time was advanced by cost / weight
    (nobody's is while nobody waits). `late`: served from the late work of its tier. `counted`: its tenant was limited,
    so the tenant's item counts it, whatever the policy says of the tenant when it ends. `home_pool`: the pool whose
    full lane it came from, where it counts as well.
    """

    agent_id: str
    agent_pool: str
    tenant_id: str
    tier: Tier
    reserved_at_ms: int
    cost_ms: int = 0
    tokens: int = 0
    weight_milli: int = 1_000
    charged: bool = False
    late: bool = False
    home_pool: str | None = None
    counted: bool = False
    holds: tuple[Hold, ...] = ()


class Attempt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A live attempt: the reservation of one agent slot, and the lease that keeps it."""

    task_id: str
    epoch: int
    tenant_id: str
    pool: str
    agent_id: str
    task_type: str
    tier: Tier
    dispatched_at_ms: int
    lease_until_ms: int
    reservation: Reservation
    pushes: int = 1
    runner: str | None = None
    started_at_ms: int | None = None
    outcome: Outcome | None = None
    order_for: str | None = None  # the waiting task that it was asked to yield for


def outcome_digest(outcome: Outcome) -> str:
    """Fingerprint that binds the nudge's copy of an outcome to the one stored on the attempt."""
    # As it is read back: an author's 7 where a float is asked for is 7.0 from then on.
    read_back = msgspec.json.decode(msgspec.json.encode(outcome), type=Outcome)
    return digest(msgspec.json.encode(read_back, order="sorted").decode())
