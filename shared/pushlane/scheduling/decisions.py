"""What a turn decides, as frozen values. Each carries its reason, so that "why does my task wait?" has an answer."""

from enum import StrEnum

from msgspec import Struct

from pushlane.model.attempt import ErrorDetail
from pushlane.scheduling.snapshot import Arrival, Entry, Finished, LeaseExpired, RetryDue


class ParkReason(StrEnum):
    CAPACITY = "capacity"  # agents can run it, none has a free slot
    NO_AGENT = "no-agent"  # no registered agent of the pool has its capabilities
    CONTENTION = "contention"  # the turn lost its optimistic attempts; the next turn dispatches it


class FromLane(Struct, frozen=True):
    """The dispatched task was waiting in a lane."""


Origin = Arrival | RetryDue | FromLane


class Dispatch(Struct, frozen=True, kw_only=True):
    """Reserve a slot of `agent_id` for the next attempt of the entry and push it.

    `handed_from`: the completion whose slot it takes (Handoff): both are committed in one transaction.
    """

    entry: Entry
    epoch: int
    agent_id: str
    lease_until_ms: int
    origin: Origin
    handed_from: str | None = None


class Park(Struct, frozen=True, kw_only=True):
    """Let the task wait in its lane."""

    entry: Entry
    reason: ParkReason
    origin: Arrival | RetryDue


class Complete(Struct, frozen=True, kw_only=True):
    """The attempt succeeded: task terminal, slot released."""

    finished: Finished


class Retry(Struct, frozen=True, kw_only=True):
    """The attempt failed and may be tried again at `due_ms`: slot released, task delayed."""

    ended: Finished | LeaseExpired
    entry: Entry
    due_ms: int
    error: ErrorDetail


class Fail(Struct, frozen=True, kw_only=True):
    """The attempt failed for good: task terminal with its error, slot released."""

    ended: Finished | LeaseExpired
    error: ErrorDetail


class Repush(Struct, frozen=True, kw_only=True):
    """The attempt was never started: the push may be lost, so push it again under the same epoch."""

    expired: LeaseExpired
    lease_until_ms: int


Decision = Dispatch | Park | Complete | Retry | Fail | Repush


class Plan(Struct, frozen=True, kw_only=True):
    """The decisions in commit order; `wake_due_ms` = arm a wake-up for then (None: an armed one already covers it)."""

    decisions: tuple[Decision, ...]
    wake_due_ms: int | None
