"""What a turn decides, as frozen values. Each carries its reason, so that "why does my task wait?" has an answer."""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from pushlane.model.attempt import ErrorDetail, Reservation
from pushlane.model.task import Status
from pushlane.scheduling.entry import Entry, LaneRef
from pushlane.scheduling.snapshot import (
    Arrival,
    DeadlineDue,
    Ended,
    Finished,
    GivesBack,
    LeaseExpired,
    Ready,
    Releasing,
    Running,
    Withdraw,
    ended_task_id,
    has_children,
    held_by,
)


class ParkReason(StrEnum):
    """Why a task waits. A rate is named behind a colon: `rate:llm-tpm`."""

    CAPACITY = "capacity"  # agents can run it, none has a free slot
    NO_AGENT = "no-agent"  # no registered agent of the pool has its capabilities
    RATE = "rate"  # a shared resource has not enough left, or is paused
    TENANT_QUOTA = "tenant-quota"  # the tenant's own cap or rate
    WINDOW = "window"  # the tenant's token budget is spent until the next day or month
    FAIRNESS = "fairness"  # other tenants of its tier go first
    PRIORITY = "priority"  # other tiers go first
    CLAIM = "claim"  # its tenant's tasks are for pollers (mode poll), and none of them claims one now
    CONTENTION = "contention"  # the turn lost its optimistic attempts; the next turn dispatches it


class Block(Struct, frozen=True):
    """What keeps a task from running now, and when that ends by itself (None: something else must end first)."""

    reason: ParkReason
    until_ms: int | None = None
    resource: str | None = None

    def __str__(self) -> str:
        return self.reason.value if self.resource is None else f"{self.reason.value}:{self.resource}"


class FromLane(Struct, frozen=True):
    """The dispatched task was waiting in a lane."""


Origin = Arrival | Ready | FromLane


class Dispatch(Struct, frozen=True, kw_only=True):
    """Reserve everything of `reservation` for the next attempt of the entry and push it.

    `start_tag_ms`: its tenant's virtual time before the charge. `floor_tag_ms`: the tier's, then. `handed_from`: the
    task whose ended attempt gave the slot (Handoff); both are committed in one transaction.
    """

    entry: Entry
    epoch: int
    reservation: Reservation
    lease_until_ms: int
    origin: Origin
    start_tag_ms: int = 0
    floor_tag_ms: int = 0
    handed_from: str | None = None

    @property
    def agent_id(self) -> str:
        return self.reservation.agent_id


class Park(Struct, frozen=True, kw_only=True):
    """Let the task wait in its lane. `tag_ms`: the virtual time at which its tenant starts, if the lane was empty."""

    entry: Entry
    block: Block
    origin: Arrival | Ready | Finished
    tag_ms: int = 0


class Overflow(Struct, frozen=True, kw_only=True):
    """The lane is full: let another pool take the arrival."""

    arrival: Arrival
    pool: str


LANE_FULL: Final = "lane_full"


class Reject(Struct, frozen=True, kw_only=True):
    """Refuse the arrival before it is accepted: `429` with `Retry-After`, or quarantine. `code` is for programs."""

    arrival: Arrival
    reason: str
    retry_after_seconds: int
    code: str = LANE_FULL


DEADLINE_PASSED: Final = ErrorDetail(
    error_type="DeadlineImpossible", message="it could no longer make its hard deadline", retryable=False
)


class Drop(Struct, frozen=True, kw_only=True):
    """Terminal without an attempt: its hard deadline cannot be made any more, it was cancelled, or its parents failed;
    nothing is wasted on it.
    """

    entry: Entry
    origin: Arrival | Ready | FromLane | DeadlineDue | Withdraw
    status: Status = Status.EXPIRED
    error: ErrorDetail = DEADLINE_PASSED


class Complete(Struct, frozen=True, kw_only=True):
    """The attempt succeeded: task terminal, everything it held released and trued up."""

    finished: Finished


class Retry(Struct, frozen=True, kw_only=True):
    """The attempt failed and may be tried again at `due_ms`: everything released, task delayed. `pool`: another one
    that tries it from now on.
    """

    ended: Finished | LeaseExpired
    entry: Entry
    due_ms: int
    error: ErrorDetail
    pool: str | None = None


class Suspend(Struct, frozen=True, kw_only=True):
    """The attempt ended to go on later: everything released. At `due_ms`, or only when a signal comes (None)."""

    ended: Finished
    entry: Entry
    due_ms: int | None


class GiveBack(Struct, frozen=True, kw_only=True):
    """The attempt goes on and waits: everything it held released and trued up, its reservation one that holds nothing
    until it asks again (a dispatch of an entry with its runner).
    """

    gives: GivesBack


class Fail(Struct, frozen=True, kw_only=True):
    """The attempt ended without success and is not tried again: everything released. `status`: FAILED, EXPIRED because
    of time, CANCELLED, or DEAD_LETTERED, where `entry` waits to be redriven.
    """

    ended: Finished | LeaseExpired
    error: ErrorDetail
    status: Status = Status.FAILED
    entry: Entry | None = None


class Repush(Struct, frozen=True, kw_only=True):
    """The attempt was never started: the push may be lost, so push it again under the same epoch."""

    expired: LeaseExpired
    lease_until_ms: int


class Preempt(Struct, frozen=True, kw_only=True):
    """Ask a running attempt to yield at its next checkpoint for a waiting task. Frees nothing by itself."""

    victim: Running
    waiter: Entry


Decision = Dispatch | Park | Overflow | Reject | Drop | Complete | Retry | Suspend | GiveBack | Fail | Repush | Preempt


class Plan(Struct, frozen=True, kw_only=True):
    """The decisions in commit order; `wake_due_ms` = arm a wake-up for then (None: an armed one already covers it).

    `blocks`: what kept each lane that was looked at from going on.
    """

    decisions: tuple[Decision, ...]
    wake_due_ms: int | None
    blocks: tuple[tuple[LaneRef, Block], ...] = ()


def released_by(decision: Decision) -> Releasing | None:
    """The attempt whose reservation the decision gives back: it ends, or goes on without for a while."""
    return decision.gives if isinstance(decision, GiveBack) else ended_of(decision)


def ended_of(decision: Decision) -> Ended | None:
    """The attempt that the decision ends, if it ends one."""
    match decision:
        case Complete(finished=finished):
            return finished
        case Retry(ended=ended) | Fail(ended=ended) | Suspend(ended=ended):
            return ended
        case Park(origin=Finished() as yielded):
            return yielded
        case _:
            return None


def leaves_lane(decision: Decision) -> bool:
    """Whether the decision takes its entry out of a lane."""
    match decision:
        case Dispatch(origin=FromLane()) | Drop(origin=FromLane()):
            return True
        case Drop(origin=DeadlineDue(before=before) | Withdraw(before=before)):
            return before is Status.PARKED
        case _:
            return False


def is_final(decision: Decision) -> bool:
    """Whether the task has ended with it, once and for all."""
    match decision:
        case Complete() | Drop():
            return True
        case Fail(status=status):
            return status.terminal
        case _:
            return False


def tells(decision: Decision) -> str | None:
    """The task whose end others have to hear of, when this decision ends it."""
    if not is_final(decision):
        return None
    if isinstance(decision, Drop):
        return decision.entry.task_id if decision.entry.tells else None
    ended = ended_of(decision)
    if ended is None or not (held_by(ended).tells or has_children(ended)):
        return None
    return ended_task_id(ended)
