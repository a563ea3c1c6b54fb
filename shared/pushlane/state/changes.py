"""One decision -> the writes on its own items. The status and epoch in each condition are the fence."""

from typing import Final

from pushlane.model.attempt import Attempt, ErrorDetail, Order, outcome_digest
from pushlane.model.task import Status
from pushlane.ports import Absent, AnyOf, Conditions, Delete, Equals, Missing, Present, Put, Scalar, Update, Write
from pushlane.scheduling.decisions import (
    Complete,
    Decision,
    Dispatch,
    Drop,
    Fail,
    FromLane,
    GiveBack,
    Overflow,
    Park,
    Preempt,
    Reject,
    Repush,
    Retry,
    Suspend,
    tells,
)
from pushlane.scheduling.entry import Entry
from pushlane.scheduling.pickup import parked_entry, pickup_of_dispatch
from pushlane.scheduling.snapshot import (
    Arrival,
    DeadlineDue,
    Ended,
    Finished,
    Ready,
    Withdraw,
    asked_by,
    ended_epoch,
    ended_task_id,
    has_children,
    held_by,
    waited_of,
)
from pushlane.state import keys
from pushlane.state.giving_back import give_back, grant, reservation_as_read
from pushlane.state.items import VERSION, entry_attributes, error_attributes, new_attempt_attributes, to_json
from pushlane.state.transitions import accept, asks_again, at_rest, ended, failed_with, move, waits_as_seen

# What a duty among the delayed is about: a task that has ended, of which others have to hear.
ENDED: Final = "ended"


def own_operations(decision: Decision, pool: str, now_ms: int) -> list[Write]:
    """The operations on items that only this decision touches: its task, its attempt, where it waits, and the duty to
    tell others of the task's end. The task's own operation is the first.
    """
    duty = tells(decision)
    beside: list[Write] = [] if duty is None else [Put(keys.duty_key(pool, now_ms, duty, ENDED), {"v": VERSION})]
    return _own_operations(decision, pool, now_ms) + beside + _attached(decision)


def _attached(decision: Decision) -> list[Write]:
    """Beside its parent, where whoever ends that one finds a new child."""
    match decision:
        case Dispatch(origin=Arrival(task=task)) | Park(origin=Arrival(task=task)) if task.parent is not None:
            attached = task.parent.attached
            return [Put(keys.child_key(task.parent.task_id, task.task_id), {"v": VERSION})] if attached else []
        case _:
            return []


def _own_operations(decision: Decision, pool: str, now_ms: int) -> list[Write]:
    match decision:
        case Dispatch():
            return _dispatch(decision, pool, now_ms)
        case Park():
            return _park(decision, pool, now_ms)
        case Drop():
            return _drop(decision, pool, now_ms)
        case Complete(finished=finished):
            result: dict[str, Scalar] = {"result": to_json(finished.outcome.result or {})}
            said = at_rest(Status.SUCCEEDED, now_ms) | result | _children(finished)
            return [ended(finished, Status.SUCCEEDED, said), *_end(finished, pool)]
        case Fail():
            return _fail(decision, pool, now_ms)
        case Retry():
            return _retry(decision, pool, now_ms)
        case Suspend():
            return _suspend(decision, pool, now_ms)
        case GiveBack(gives=gives):
            return give_back(gives, pool, now_ms)
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
    if entry.runner is not None:
        return grant(decision, pool, now_ms)
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
        ends_at_ms=entry.ends_at_ms,
        pickup=pickup_of_dispatch(decision, now_ms),
    )
    reservation = Put(keys.attempt_key(pool, entry.task_id), new_attempt_attributes(attempt), (Absent(),))
    placed: dict[str, Scalar] = {"agent_id": decision.agent_id, "dispatched_at_ms": now_ms}
    if isinstance(origin, Arrival):
        return [accept(origin.task, Status.DISPATCHED, decision.epoch, placed), reservation]
    before = Status.PARKED if isinstance(origin, FromLane) else origin.before
    placed |= {"epoch": decision.epoch, **_unblocked(origin, now_ms)}
    return [move(entry, before, Status.DISPATCHED, placed), reservation, *_leave(entry, origin, pool)]


def _park(decision: Park, pool: str, now_ms: int) -> list[Write]:
    entry, origin = parked_entry(decision, now_ms), decision.origin
    waiting: list[Write] = [Put(keys.entry_key(pool, entry), entry_attributes(entry), (Absent(),))]
    if entry.hard:
        waiting.append(Put(keys.expiry_key(pool, entry), entry_attributes(entry)))
    key = keys.entry_key(pool, entry)
    reason: dict[str, Scalar] = {
        "park_reason": str(decision.block),
        "changed_at_ms": now_ms,
        "waits_at": keys.pointer(key),
    }
    match origin:
        case Arrival(task=task):
            return [accept(task, Status.PARKED, 0, reason), *waiting]
        case Ready() if entry.runner is not None:
            return [asks_again(entry, reason), *waiting]
        case Ready():
            left = _leave(entry, origin, pool, parked=True)
            said = reason | _unblocked(origin, now_ms)
            return [move(entry, origin.before, Status.PARKED, said), *waiting, *left]
        case Finished():
            kept: dict[str, Scalar] = {"uncounted": entry.uncounted, **_left_by(origin), **_start_by(entry)}
            return [ended(origin, Status.PARKED, reason | kept), *_end(origin, pool), *waiting]


def _unblocked(origin: Ready | FromLane, now_ms: int) -> dict[str, Scalar]:
    """How long after its last parent's end a child of a workflow was let go."""
    if isinstance(origin, FromLane) or origin.since_ms is None:
        return {}
    return {"unblock_ms": max(0, now_ms - origin.since_ms)}


def _drop(decision: Drop, pool: str, now_ms: int) -> list[Write]:
    entry, origin, status = decision.entry, decision.origin, decision.status
    said = at_rest(status, now_ms) | error_attributes(decision.error)
    match origin:
        case Arrival(task=task):
            return [accept(task, status, 0, said)]
        case FromLane() | Ready() | DeadlineDue() | Withdraw():
            before = Status.PARKED if isinstance(origin, FromLane) else origin.before
            return [move(entry, before, status, said), *_leave(entry, origin, pool)]


def _fail(decision: Fail, pool: str, now_ms: int) -> list[Write]:
    over, status = decision.ended, decision.status
    said = at_rest(status, now_ms) | _failed(over, decision.error, now_ms)
    if status is not Status.DEAD_LETTERED:
        return [ended(over, status, said | _children(over)), *_end(over, pool)]
    if decision.entry is None:
        raise ValueError(f"task {ended_task_id(over)} cannot be dead-lettered without its entry")
    grave = Put(keys.dead_key(pool, now_ms, ended_task_id(over)), entry_attributes(decision.entry), (Absent(),))
    return [ended(over, status, said | _left_by(over)), *_end(over, pool), grave]


def _retry(decision: Retry, pool: str, now_ms: int) -> list[Write]:
    over, entry, due_ms = decision.ended, decision.entry, decision.due_ms
    again: dict[str, Scalar] = {"due_ms": due_ms, "changed_at_ms": now_ms, "uncounted": entry.uncounted}
    if entry.avoid:
        again["avoid"] = list(entry.avoid)
    if decision.pool is not None:
        again["pool"] = decision.pool
    said = again | _failed(over, decision.error, now_ms) | _left_by(over)
    delayed = Put(keys.delayed_key(decision.pool or pool, due_ms, entry.task_id), entry_attributes(entry), (Absent(),))
    return [ended(over, Status.RETRYING, said), *_end(over, pool), delayed]


def _suspend(decision: Suspend, pool: str, now_ms: int) -> list[Write]:
    over, entry, due_ms = decision.ended, decision.entry, decision.due_ms
    said: dict[str, Scalar] = {"changed_at_ms": now_ms, "uncounted": entry.uncounted}
    said |= _left_by(over) | _start_by(entry)
    if over.outcome.awaits is not None:
        said["awaits"] = over.outcome.awaits
    held: dict[str, Scalar] = {**entry_attributes(entry), "before": Status.SUSPENDED.value}
    waiting: list[Write] = []
    if due_ms is not None:
        said["due_ms"] = due_ms
        waiting.append(Put(keys.delayed_key(pool, due_ms, entry.task_id), held, (Absent(),)))
    if entry.hard:
        more: dict[str, Scalar] = {} if due_ms is None else {"due_ms": due_ms}
        waiting.append(Put(keys.expiry_key(pool, entry), held | more))
    return [ended(over, Status.SUSPENDED, said), *_end(over, pool), *waiting]


def _failed(over: Ended, error: ErrorDetail, now_ms: int) -> dict[str, Scalar]:
    return failed_with(error, ended_epoch(over), held_by(over).agent_id, now_ms)


def _left_by(over: Ended) -> dict[str, Scalar]:
    """Where the next attempt goes on (one that stored no checkpoint leaves the one before it), and that the task has
    children.
    """
    if isinstance(over, Finished):
        found = None if over.outcome.checkpoint is None else to_json(over.outcome.checkpoint)
    else:
        found = over.attempt.checkpoint_json
    kept: dict[str, Scalar] = {} if found is None else {"checkpoint": found}
    return kept | _children(over)


def _children(over: Ended) -> dict[str, Scalar]:
    return {"children": True} if has_children(over) else {}


def _start_by(entry: Entry) -> dict[str, Scalar]:
    """With less left to do it has to start later, and that outlives this attempt as its checkpoint does."""
    return {"start_by_ms": entry.start_by_ms} if entry.dated else {}


def _preempt(decision: Preempt, pool: str) -> list[Write]:
    """Both ends in one transaction: the order on the victim's attempt, and the waiter marked as having one out.

    The waiter's mark must be what this turn saw, so that of two turns that ask for it at once only one does.
    """
    victim, waiter = decision.victim, decision.waiter
    running = (
        Equals("epoch", victim.epoch),
        Missing("order"),
        Missing("outcome_digest"),
        *reservation_as_read(victim.waited),
    )
    order: dict[str, Scalar] = {"order_for": waiter.task_id, "order": "preempt"}
    mark: dict[str, Scalar] = {"victim": victim.task_id}
    # What expires a waiter is read from beside its deadline, and calls the order off too.
    expiry: list[Write] = [Update(keys.expiry_key(pool, waiter), set=mark, conditions=(Present(),))]
    return [
        Update(keys.attempt_key(pool, victim.task_id), set=order, conditions=running),
        Update(keys.entry_key(pool, waiter), set=mark, conditions=waits_as_seen(waiter)),
        *(expiry if waiter.hard else []),
    ]


def _leave(
    entry: Entry, origin: Ready | FromLane | DeadlineDue | Withdraw, pool: str, *, parked: bool = False
) -> list[Write]:
    """Take the entry out of where it waited. `parked`: it waits in a lane now, where its deadline still holds."""
    before = Status.PARKED if isinstance(origin, FromLane) else origin.before
    due_ms = None if isinstance(origin, FromLane) else origin.due_ms
    left: list[Write] = []
    if before is Status.PARKED:
        left.append(Delete(keys.entry_key(pool, entry), waits_as_seen(entry)))
    if due_ms is not None:
        left.append(Delete(keys.delayed_key(pool, due_ms, entry.task_id), (Present(),)))
    if entry.hard and not parked and before is not Status.RETRYING:
        left.append(Delete(keys.expiry_key(pool, entry)))
    return left


def _not_cancelled_since(attempt: Attempt) -> Conditions:
    """A cancel that came after the attempt was read may have left its lease as it was: then this is no retry."""
    if attempt.order is Order.CANCEL:
        return ()
    return (AnyOf((Missing("order"), Equals("order", Order.PREEMPT.value))),)


def _as_left(attempt: Attempt) -> Conditions:
    """What is handed on is the newest: a check-in need not have moved the lease, and a child never does."""
    kept = attempt.checkpoint_json
    return (
        Missing("checkpoint") if kept is None else Equals("checkpoint", kept),
        Equals("children", list(attempt.children)) if attempt.children else Missing("children"),
    )


def _end(over: Ended, pool: str) -> list[Write]:
    """Remove the attempt, by its runner's own word or by the exact lease that ran out unfinished, and its runner, as a
    start need not move the lease; and what waits in a lane for it, if it had given everything back and asked again.
    """
    if isinstance(over, Finished):
        fence: Conditions = (
            Equals("epoch", over.epoch),
            Equals("runner", over.runner),
            Equals("outcome_digest", outcome_digest(over.outcome)),
        )
    else:
        fence = (
            Equals("epoch", over.attempt.epoch),
            Equals("lease_until_ms", over.attempt.lease_until_ms),
            Missing("runner") if over.attempt.runner is None else Equals("runner", over.attempt.runner),
            Missing("outcome_digest"),
            *_as_left(over.attempt),
            *_not_cancelled_since(over.attempt),
        )
    fence += reservation_as_read(waited_of(over))
    asks = asked_by(over)
    left: list[Write] = [] if asks is None else [Delete(keys.entry_key(pool, asks), waits_as_seen(asks))]
    return [Delete(keys.attempt_key(pool, ended_task_id(over)), fence), *left]
