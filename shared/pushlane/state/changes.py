"""One decision -> the writes on its own items. The status and epoch in each condition are the fence."""

from typing import Final

from pushlane.model.attempt import Attempt, ErrorDetail, outcome_digest
from pushlane.model.task import ENTRY_STATES, TRANSITIONS, Status, Task
from pushlane.ports import Absent, Conditions, Delete, Equals, Missing, Present, Put, Scalar, Update, Write
from pushlane.scheduling.decisions import (
    Complete,
    Decision,
    Dispatch,
    Expire,
    Fail,
    FromLane,
    Overflow,
    Park,
    Preempt,
    Reject,
    Repush,
    Retry,
)
from pushlane.scheduling.entry import Entry
from pushlane.scheduling.snapshot import (
    Arrival,
    DeadlineDue,
    Finished,
    LeaseExpired,
    RetryDue,
    ended_epoch,
    ended_task_id,
)
from pushlane.state import keys
from pushlane.state.items import (
    entry_attributes,
    error_attributes,
    new_attempt_attributes,
    new_task_attributes,
    to_json,
)

RETENTION_SECONDS: Final = 30 * 24 * 3600

DEADLINE_PASSED: Final = ErrorDetail(
    error_type="DeadlineImpossible", message="it could no longer make its hard deadline", retryable=False
)


def own_operations(decision: Decision, pool: str, now_ms: int) -> list[Write]:
    """The operations on items that only this decision touches: its task, its attempt, where it waits."""
    match decision:
        case Dispatch():
            return _dispatch(decision, pool, now_ms)
        case Park():
            return _park(decision, pool, now_ms)
        case Expire():
            return _expire(decision, pool, now_ms)
        case Complete(finished=finished):
            result: dict[str, Scalar] = {"result": to_json(finished.outcome.result or {})}
            return [_terminal(decision.finished, Status.SUCCEEDED, result, now_ms), _end(finished, pool)]
        case Fail(ended=ended, error=error, expired=expired):
            after = Status.EXPIRED if expired else Status.FAILED
            return [_terminal(ended, after, error_attributes(error), now_ms), _end(ended, pool)]
        case Retry(ended=ended, entry=entry, due_ms=due_ms, error=error):
            again: dict[str, Scalar] = {"due_ms": due_ms, "changed_at_ms": now_ms, "uncounted": entry.uncounted}
            update = _ended(ended, Status.RETRYING, again | error_attributes(error))
            delayed = Put(keys.delayed_key(pool, due_ms, entry.task_id), entry_attributes(entry), (Absent(),))
            return [update, _end(ended, pool), delayed]
        case Repush(expired=expired, lease_until_ms=lease_until_ms):
            key = keys.attempt_key(pool, expired.attempt.task_id)
            conditions = (Equals("lease_until_ms", expired.attempt.lease_until_ms), Missing("runner"))
            return [Update(key, {"lease_until_ms": lease_until_ms}, {"pushes": 1}, (), conditions)]
        case Preempt():
            return _preempt(decision, pool)
        case Overflow() | Reject():
            return []


def _dispatch(decision: Dispatch, pool: str, now_ms: int) -> list[Write]:
    entry, origin = decision.entry, decision.origin
    attempt = Attempt(
        task_id=entry.task_id,
        epoch=decision.epoch,
        tenant_id=entry.tenant_id,
        pool=pool,
        agent_id=decision.agent_id,
        task_type=entry.task_type,
        tier=entry.tier,
        dispatched_at_ms=now_ms,
        lease_until_ms=decision.lease_until_ms,
        reservation=decision.reservation,
    )
    reservation = Put(keys.attempt_key(pool, entry.task_id), new_attempt_attributes(attempt), (Absent(),))
    placed: dict[str, Scalar] = {"agent_id": decision.agent_id, "dispatched_at_ms": now_ms}
    if isinstance(origin, Arrival):
        return [_accept(origin.task, Status.DISPATCHED, decision.epoch, placed), reservation]
    before = Status.PARKED if isinstance(origin, FromLane) else Status.RETRYING
    placed["epoch"] = decision.epoch
    return [_move(entry, before, Status.DISPATCHED, placed), reservation, *_leave(entry, origin, pool)]


def _park(decision: Park, pool: str, now_ms: int) -> list[Write]:
    entry, origin = decision.entry, decision.origin
    waiting: list[Write] = [Put(keys.entry_key(pool, entry), entry_attributes(entry), (Absent(),))]
    if entry.hard:
        waiting.append(Put(keys.expiry_key(pool, entry), entry_attributes(entry)))
    reason: dict[str, Scalar] = {"park_reason": str(decision.block), "changed_at_ms": now_ms}
    match origin:
        case Arrival(task=task):
            return [_accept(task, Status.PARKED, 0, reason), *waiting]
        case RetryDue():
            return [_move(entry, Status.RETRYING, Status.PARKED, reason), *waiting, *_leave(entry, origin, pool)]
        case Finished(outcome=outcome):
            kept: dict[str, Scalar] = {"uncounted": entry.uncounted}
            if outcome.checkpoint is not None:
                kept["checkpoint"] = to_json(outcome.checkpoint)
            return [_ended(origin, Status.PARKED, reason | kept), _end(origin, pool), *waiting]


def _expire(decision: Expire, pool: str, now_ms: int) -> list[Write]:
    entry, origin = decision.entry, decision.origin
    said: dict[str, Scalar] = {
        "ended_at_ms": now_ms,
        "expires_at_s": now_ms // 1_000 + RETENTION_SECONDS,
        **error_attributes(DEADLINE_PASSED),
    }
    if isinstance(origin, Arrival):
        return [_accept(origin.task, Status.EXPIRED, 0, said)]
    before = Status.RETRYING if isinstance(origin, RetryDue) else Status.PARKED
    return [_move(entry, before, Status.EXPIRED, said), *_leave(entry, origin, pool)]


def _preempt(decision: Preempt, pool: str) -> list[Write]:
    """Both ends in one transaction: the order on the victim's attempt, and the waiter marked as having one out.

    The waiter's mark must be what this turn saw, so that of two turns that ask for it at once only one does.
    """
    victim, waiter = decision.victim, decision.waiter
    running = (Equals("epoch", victim.epoch), Missing("order_for"), Missing("outcome_digest"))
    order: dict[str, Scalar] = {"order_for": waiter.task_id, "order": "preempt"}
    mark: dict[str, Scalar] = {"victim": victim.task_id}
    # What expires a waiter is read from beside its deadline, and calls the order off too.
    expiry: list[Write] = [Update(keys.expiry_key(pool, waiter), set=mark, conditions=(Present(),))]
    return [
        Update(keys.attempt_key(pool, victim.task_id), set=order, conditions=running),
        Update(keys.entry_key(pool, waiter), set=mark, conditions=_waits_as_seen(waiter)),
        *(expiry if waiter.hard else []),
    ]


def _waits_as_seen(entry: Entry) -> Conditions:
    """It still waits, and no order was given for it or called since it was read."""
    return (Present(), Missing("victim") if entry.victim is None else Equals("victim", entry.victim))


def _accept(task: Task, status: Status, epoch: int, more: dict[str, Scalar]) -> Put:
    """The task's first item: its acceptance. The condition is what makes a repeated submission the same task."""
    if status not in ENTRY_STATES:
        raise ValueError(f"a task cannot begin as {status}")
    return Put(keys.task_key(task.task_id), new_task_attributes(task, status, epoch) | more, (Absent(),))


def _move(entry: Entry, before: Status, after: Status, more: dict[str, Scalar]) -> Update:
    """A waiting task's change; why and until when it waited is over with it. A new attempt has times of its own."""
    gone = ("due_ms",) if after is Status.PARKED else ("due_ms", "park_reason", "started_at_ms", "finished_at_ms")
    return _transition(entry.task_id, entry.epoch, before, after, more, gone)


def _transition(
    task_id: str, epoch: int, before: Status, after: Status, more: dict[str, Scalar], remove: tuple[str, ...] = ()
) -> Update:
    if after not in TRANSITIONS[before]:
        raise ValueError(f"a task cannot go from {before} to {after}")
    fence: Conditions = (Equals("status", before.value), Equals("epoch", epoch))
    return Update(keys.task_key(task_id), set={"status": after.value, **more}, remove=remove, conditions=fence)


def _leave(entry: Entry, origin: RetryDue | FromLane | DeadlineDue, pool: str) -> list[Write]:
    """Take the entry out of where it waited."""
    if isinstance(origin, RetryDue):
        return [Delete(keys.delayed_key(pool, origin.due_ms, entry.task_id), (Present(),))]
    expiry: list[Write] = [Delete(keys.expiry_key(pool, entry))] if entry.hard else []
    return [Delete(keys.entry_key(pool, entry), _waits_as_seen(entry)), *expiry]


def _terminal(ended: Finished | LeaseExpired, status: Status, more: dict[str, Scalar], now_ms: int) -> Update:
    kept: dict[str, Scalar] = {"ended_at_ms": now_ms, "expires_at_s": now_ms // 1_000 + RETENTION_SECONDS}
    return _ended(ended, status, kept | more)


def _ended(ended: Finished | LeaseExpired, after: Status, more: dict[str, Scalar]) -> Update:
    """The task's change when its current attempt ends, with the attempt's own times where it had a last word."""
    times: dict[str, Scalar] = {}
    if isinstance(ended, Finished):
        times = {"started_at_ms": ended.outcome.started_at_ms, "finished_at_ms": ended.outcome.finished_at_ms}
    # What an earlier attempt failed with is over once one succeeds.
    gone = ("error",) if after is Status.SUCCEEDED else ()
    return _transition(ended_task_id(ended), ended_epoch(ended), Status.DISPATCHED, after, times | more, gone)


def _end(ended: Finished | LeaseExpired, pool: str) -> Delete:
    """Remove the attempt: by its runner's own word, or by the exact lease that ran out unfinished."""
    if isinstance(ended, Finished):
        fence: Conditions = (
            Equals("epoch", ended.epoch),
            Equals("runner", ended.runner),
            Equals("outcome_digest", outcome_digest(ended.outcome)),
        )
        return Delete(keys.attempt_key(pool, ended.task_id), fence)
    attempt = ended.attempt
    fence = (
        Equals("epoch", attempt.epoch),
        Equals("lease_until_ms", attempt.lease_until_ms),
        Missing("outcome_digest"),
    )
    return Delete(keys.attempt_key(pool, attempt.task_id), fence)
