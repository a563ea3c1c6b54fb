"""Committed changes -> what is measured of them. Pure: a change that is told twice gives the same observation.

A task gives two at most while nothing goes wrong: its first start and its end. A third when it is dead-lettered.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from pushlane.model.pickup import Pickup, parts_of
from pushlane.model.task import Status, Task
from pushlane.ports import Attributes, Change, Table
from pushlane.state.items import number, optional_number, pickup_of, status_of, task_of, text
from pushlane.state.keys import TASK
from pushlane.state.measures import mark_of
from pushlane.telemetry.layout import NOT_STARTED, PARKED

_ENDS: Final = {
    Status.SUCCEEDED: "succeeded",
    Status.FAILED: "failed",
    Status.EXPIRED: "expired",
    Status.CANCELLED: "cancelled",
    Status.DEAD_LETTERED: "dead_lettered",
}


class Observation(Struct, frozen=True, kw_only=True):
    """What one fact adds to the measures of its tenant and tier. `mark`: what tells it from every other fact."""

    mark: str
    tenant_id: str
    tier: str
    task_type: str
    pool: str
    at_ms: int
    durations_ms: Mapping[str, int] = {}
    counts: Mapping[str, int] = {}
    sums: Mapping[str, int] = {}


def observed(change: Change) -> Observation | None:
    """What is measured of a change, if anything. Raises what an unreadable change raises (`KeyError`, `ValueError`,
    `TypeError`, `msgspec.DecodeError`).
    """
    if change.new is None:
        return None
    if change.key.table is Table.ATTEMPTS:
        return _started(change.key.sk, change.old, change.new)
    if change.key.table is Table.TASKS and change.key.sk == TASK:
        return _ended(change.old, change.new)
    return None


def _started(task_id: str, old: Attributes | None, new: Attributes) -> Observation | None:
    """The first start of a task; an attempt after another that was started carries no pickup."""
    pickup = pickup_of(new)
    if pickup is None or "runner" not in new or (old is not None and "runner" in old):
        return None
    started_at_ms = number(new, "started_at_ms")
    return Observation(
        mark=mark_of("started", task_id),
        tenant_id=text(new, "tenant_id"),
        tier=text(new, "tier"),
        task_type=text(new, "task_type"),
        pool=text(new, "pool"),
        at_ms=started_at_ms,
        durations_ms=_durations(pickup, number(new, "dispatched_at_ms"), started_at_ms),
        counts={"started": 1},
    )


def _durations(pickup: Pickup, dispatched_at_ms: int, started_at_ms: int) -> dict[str, int]:
    """The pickup and its parts, which add up to it."""
    parts = parts_of(pickup, dispatched_at_ms, started_at_ms)
    first = "unblock" if pickup.unblocked else "ingest"
    durations = {"pickup": parts.pickup_ms, first: parts.decided_ms, "dispatch": parts.dispatch_ms}
    if pickup.reason:
        durations[PARKED + pickup.reason] = parts.parked_ms
    if parts.lost_ms:
        durations[PARKED + NOT_STARTED] = parts.lost_ms
    return durations


def _ended(old: Attributes | None, new: Attributes) -> Observation | None:
    status = status_of(new)
    if status not in _ENDS or (old is not None and status_of(old) is status):
        return None
    task, ended_at_ms = task_of(new), number(new, "ended_at_ms")
    terminal = status.terminal
    return Observation(
        # A task ends once; it can die again after it was redriven.
        mark=mark_of("ended", task.task_id, "" if terminal else f"{number(new, 'epoch')}/{ended_at_ms}"),
        tenant_id=task.tenant_id,
        tier=task.tier.value,
        task_type=task.task_type,
        pool=task.pool,
        at_ms=ended_at_ms,
        durations_ms=_run(new),
        counts={_ENDS[status]: 1} | (_of_end(task, status, new) if terminal else {}),
        sums={name: number(new, name) for name in ("slot_ms", "tokens", "reserved_tokens") if name in new}
        if terminal
        else {},
    )


def _run(new: Attributes) -> dict[str, int]:
    """How long its last attempt ran, if that had a last word."""
    started_at_ms, finished_at_ms = optional_number(new, "started_at_ms"), optional_number(new, "finished_at_ms")
    if started_at_ms is None or finished_at_ms is None:
        return {}
    return {"run": max(0, finished_at_ms - started_at_ms)}


def _of_end(task: Task, status: Status, new: Attributes) -> dict[str, int]:
    counts = {}
    retried = number(new, "epoch") - 1 - (optional_number(new, "uncounted") or 0)
    if retried > 0:
        counts["retried"] = retried
    if task.deadline_ms is not None:
        done = status is Status.SUCCEEDED
        done_at_ms = number(new, "finished_at_ms" if done else "ended_at_ms")
        counts["deadline_met" if done and done_at_ms <= task.deadline_ms else "deadline_missed"] = 1
    return counts
