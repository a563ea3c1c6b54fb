"""One decision -> the writes on its own items. The status and epoch in each condition are the fence."""

from typing import Final

from pushlane.model.attempt import Attempt, outcome_digest
from pushlane.model.task import ENTRY_STATES, TRANSITIONS, Status, Task
from pushlane.ports import Absent, Conditions, Delete, Equals, Missing, Present, Put, Scalar, Update, Write
from pushlane.scheduling.decisions import Complete, Decision, Dispatch, Fail, FromLane, Park, Repush, Retry
from pushlane.scheduling.snapshot import Arrival, Entry, Finished, LeaseExpired, RetryDue
from pushlane.state import keys
from pushlane.state.items import (
    entry_attributes,
    error_attributes,
    new_attempt_attributes,
    new_task_attributes,
    to_json,
)

RETENTION_SECONDS: Final = 30 * 24 * 3600


def own_operations(decision: Decision, pool: str, now_ms: int) -> list[Write]:
    """The operations on items that only this decision touches: its task, its attempt, where it waits."""
    match decision:
        case Dispatch():
            return _dispatch(decision, pool, now_ms)
        case Park():
            return _park(decision, pool)
        case Complete(finished=finished):
            result: dict[str, Scalar] = {"result": to_json(finished.outcome.result or {})}
            return [_terminal(decision.finished, Status.SUCCEEDED, result, now_ms), _end(finished, pool)]
        case Fail(ended=ended, error=error):
            return [_terminal(ended, Status.FAILED, error_attributes(error), now_ms), _end(ended, pool)]
        case Retry(ended=ended, entry=entry, due_ms=due_ms, error=error):
            update = _ended(ended, Status.RETRYING, {"due_ms": due_ms, **error_attributes(error)})
            delayed = Put(keys.delayed_key(pool, due_ms, entry.task_id), entry_attributes(entry), (Absent(),))
            return [update, _end(ended, pool), delayed]
        case Repush(expired=expired, lease_until_ms=lease_until_ms):
            key = keys.attempt_key(pool, expired.attempt.task_id)
            conditions = (Equals("lease_until_ms", expired.attempt.lease_until_ms), Missing("runner"))
            return [Update(key, {"lease_until_ms": lease_until_ms}, {"pushes": 1}, (), conditions)]


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
    )
    reservation = Put(keys.attempt_key(pool, entry.task_id), new_attempt_attributes(attempt), (Absent(),))
    placed: dict[str, Scalar] = {"agent_id": decision.agent_id, "dispatched_at_ms": now_ms}
    if isinstance(origin, Arrival):
        return [_accept(origin.task, Status.DISPATCHED, decision.epoch, placed), reservation]
    before = Status.PARKED if isinstance(origin, FromLane) else Status.RETRYING
    placed["epoch"] = decision.epoch
    return [_move(entry, before, Status.DISPATCHED, placed), reservation, _leave(entry, origin, pool)]


def _park(decision: Park, pool: str) -> list[Write]:
    entry, origin = decision.entry, decision.origin
    waiting = Put(keys.entry_key(pool, entry), entry_attributes(entry), (Absent(),))
    reason: dict[str, Scalar] = {"park_reason": decision.reason.value}
    if isinstance(origin, Arrival):
        return [_accept(origin.task, Status.PARKED, 0, reason), waiting]
    return [_move(entry, Status.RETRYING, Status.PARKED, reason), waiting, _leave(entry, origin, pool)]


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


def _leave(entry: Entry, origin: RetryDue | FromLane, pool: str) -> Delete:
    """Take the entry out of where it waited."""
    if isinstance(origin, RetryDue):
        return Delete(keys.delayed_key(pool, origin.due_ms, entry.task_id), (Present(),))
    return Delete(keys.entry_key(pool, entry), (Present(),))


def _terminal(ended: Finished | LeaseExpired, status: Status, more: dict[str, Scalar], now_ms: int) -> Update:
    kept: dict[str, Scalar] = {"ended_at_ms": now_ms, "expires_at_s": now_ms // 1_000 + RETENTION_SECONDS}
    return _ended(ended, status, kept | more)


def _ended(ended: Finished | LeaseExpired, after: Status, more: dict[str, Scalar]) -> Update:
    """The task's change when its current attempt ends, with the attempt's own times where it had a last word."""
    if isinstance(ended, LeaseExpired):
        return _transition(ended.attempt.task_id, ended.attempt.epoch, Status.DISPATCHED, after, more)
    times: dict[str, Scalar] = {
        "started_at_ms": ended.outcome.started_at_ms,
        "finished_at_ms": ended.outcome.finished_at_ms,
    }
    return _transition(ended.task_id, ended.epoch, Status.DISPATCHED, after, times | more)


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
