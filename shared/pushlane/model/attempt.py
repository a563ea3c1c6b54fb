"""The attempt: one try of a task, numbered by its epoch, owned by the one invocation (runner) that started it."""

from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct

from pushlane.model.ids import digest
from pushlane.model.pickup import Pickup
from pushlane.model.task import Tier


class OutcomeKind(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    YIELDED = "yielded"  # gave its slot back at a checkpoint, because it was asked to, or its invocation's time is over
    SUSPENDED = "suspended"  # ended at a checkpoint to go on later: at a time, or when a signal comes
    CANCELLED = "cancelled"  # stopped because it was told to


class Order(StrEnum):
    """What the router asks of a running attempt; `continue` stands for none."""

    CONTINUE = "continue"
    PREEMPT = "preempt"
    CANCEL = "cancel"
    SIGNAL = "signal"


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
    """What the runner says of its attempt. `result` is a JSON object or a claim check; `checkpoint` is where the next
    attempt goes on, unless this one succeeded. A suspended one goes on at `resume_at_ms`, or when a signal named
    `awaits` comes; it had seen `signals_seen` signals. `children`: it submitted tasks that are attached to its own.
    `queued_at_ms`: since when its dispatch lay in the agent's queue, where there is one.
    """

    kind: OutcomeKind
    started_at_ms: int
    finished_at_ms: int
    result: dict[str, Any] | None = None
    error: ErrorDetail | None = None
    usage: Usage = Usage()
    throttled: Throttled | None = None
    checkpoint: dict[str, Any] | None = None
    resume_at_ms: int | None = None
    awaits: str | None = None
    signals_seen: int = 0
    children: bool = False
    queued_at_ms: int | None = None


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
    full lane it came from, where it counts as well. `tells`: others have to hear of the task's end. `slots`: of its
    agent; 0 once it was given back for a while, and then it holds nothing and only says whose attempt it is.
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
    tells: bool = False
    holds: tuple[Hold, ...] = ()
    slots: int = 1


class Settled(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an attempt had used when it last gave its reservation back: that is trued up, the rest is still to come."""

    runtime_ms: int = 0
    tokens: int = 0
    resources: dict[str, int] = {}


class Waited(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What its waits have made of an attempt's reservation: given back for the wait `gave_back`, and granted again
    after the wait `granted`. Both only grow, so the two together name one of its reservations, and none twice.
    """

    gave_back: int = 0
    granted: int = 0
    settled: Settled = Settled()

    @property
    def holds_nothing(self) -> bool:
        """What it gave back was not granted again yet."""
        return self.gave_back > self.granted


class Attempt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A live attempt: the reservation of one agent slot, and the lease that keeps it. `waited` says which of its
    reservations that is; `waits` counts its waits, and it is in the last of them while `waiting`.
    `pickup`: no attempt of its task was started before it.
    """

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
    order: Order | None = None
    order_for: str | None = None  # the waiting task that it was asked to yield for
    ends_at_ms: int | None = None  # no lease reaches beyond it: a hard deadline, or the end of a cancelled one's grace
    progress_at_ms: int | None = None
    checkpoint_json: str | None = None  # as it is stored, so that what is handed on is known to be the newest
    children: tuple[str, ...] = ()
    stall_ms: int | None = None
    waited: Waited = Waited()
    waits: int = 0
    waiting: bool = False
    pickup: Pickup | None = None

    @property
    def stalled(self) -> bool:
        """Its lease ended because it showed no progress for so long, not because its process fell silent."""
        if self.stall_ms is None or self.started_at_ms is None:
            return False
        return self.lease_until_ms >= max(self.started_at_ms, self.progress_at_ms or 0) + self.stall_ms


def outcome_digest(outcome: Outcome) -> str:
    """Fingerprint that binds the nudge's copy of an outcome to the one stored on the attempt."""
    # As it is read back: an author's 7 where a float is asked for is 7.0 from then on.
    read_back = msgspec.json.decode(msgspec.json.encode(outcome), type=Outcome)
    return digest(msgspec.json.encode(read_back, order="sorted").decode())
