"""How an input of a turn was resolved, and what a cancelled transaction says of each decision in it."""

from enum import StrEnum

from msgspec import Struct

from pushlane.model.task import Status, Task
from pushlane.ports import Attributes, Cancelled, CancelReason, Table, TransactionCancelled
from pushlane.scheduling.claiming import Claim
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
)
from pushlane.scheduling.snapshot import (
    Arrival,
    DeadlineDue,
    Finished,
    GivesBack,
    Input,
    LeaseExpired,
    Ready,
    Withdraw,
)
from pushlane.state.commit import Commit
from pushlane.state.items import number, source_of, status_of, text


class Resolution(StrEnum):
    DISPATCHED = "dispatched"
    UNPUSHED = "unpushed"  # dispatched, but the push did not go out: deliver the input again
    PARKED = "parked"
    DUPLICATE = "duplicate"  # the same key and body was accepted before: one task
    REDELIVERED = "redelivered"  # the very record that made the task came again
    CONFLICT = "conflict"  # the same key with another body: never merged
    OVERFLOWED = "overflowed"  # its lane is full: another pool takes it
    REJECTED = "rejected"  # its lane is full, and nobody else takes it
    EXPIRED = "expired"  # accepted, and its hard deadline was impossible
    ENDED = "ended"
    STALE = "stale"  # an attempt's word that was not the current one's: nothing changed
    MOOT = "moot"  # nothing left to decide


class Resolved(Struct, frozen=True):
    """The resolution; for one that met an accepted task, that task's stored attributes; for one that was turned away,
    the decision.
    """

    resolution: Resolution
    stored: Attributes | None = None
    turned_away: Overflow | Reject | None = None


def input_key(one: Input) -> str:
    match one:
        case Arrival(task=task):
            return f"arrival/{task.task_id}"
        case Finished(task_id=task_id, epoch=epoch, runner=runner):
            return f"ended/{task_id}/{epoch}/{runner}"
        case LeaseExpired(attempt=attempt):
            return f"lease/{attempt.task_id}"
        case GivesBack(attempt=attempt):
            return f"gives-back/{attempt.task_id}"
        case Ready(entry=entry):
            return f"ready/{entry.task_id}"
        case Withdraw(entry=entry):
            return f"withdraw/{entry.task_id}"
        case DeadlineDue(entry=entry):
            return f"deadline/{entry.task_id}"
        case Claim(agent_id=agent_id, claim_id=claim_id):
            return f"claim/{agent_id}/{claim_id}"


def origin_of(decision: Decision) -> Input | None:
    """The input that a decision resolves; None for a task taken from its lane."""
    match decision:
        case Dispatch(origin=origin) | Drop(origin=origin):
            return None if isinstance(origin, FromLane) else origin
        case Park(origin=origin):
            return origin
        case Overflow(arrival=arrival) | Reject(arrival=arrival):
            return arrival
        case Complete(finished=finished):
            return finished
        case Retry(ended=ended) | Fail(ended=ended) | Suspend(ended=ended):
            return ended
        case GiveBack(gives=gives):
            return gives
        case Repush(expired=expired):
            return expired
        case Preempt():
            return None


def committed(commit: Commit, unpushed: frozenset[str]) -> dict[str, Resolved]:
    """The resolutions of a committed transaction's inputs; `unpushed` names tasks whose push failed."""
    resolved: dict[str, Resolved] = {}
    for decision in commit.decisions:
        origin = origin_of(decision)
        if origin is not None:
            resolved[input_key(origin)] = _resolved(decision, unpushed)
    return resolved


def _resolved(decision: Decision, unpushed: frozenset[str]) -> Resolved:
    match decision:
        case Dispatch(entry=entry):
            return Resolved(Resolution.UNPUSHED if entry.task_id in unpushed else Resolution.DISPATCHED)
        case Park(origin=Finished()):
            return Resolved(Resolution.ENDED)
        case Park():
            return Resolved(Resolution.PARKED)
        case Drop():
            return Resolved(Resolution.EXPIRED)
        case Overflow():
            return Resolved(Resolution.OVERFLOWED, turned_away=decision)
        case Reject():
            return Resolved(Resolution.REJECTED, turned_away=decision)
        case _:
            return Resolved(Resolution.ENDED)


def judge(cancelled: TransactionCancelled, commit: Commit) -> tuple[dict[str, Resolved], bool]:
    """What the failed conditions settle for good, by input; and whether something else (a shared item that moved, a
    conflict, throttling) calls for a new plan after a pause.
    """
    verdicts: dict[str, Resolved] = {}
    contended = False
    for one in cancelled.cancelled:
        owner = commit.owners[one.index]
        origin = origin_of(owner) if owner is not None else None
        if one.reason is not CancelReason.CONDITION or origin is None:
            contended = True
        else:
            # The task's own operation is a decision's first, and what it met decides: a live attempt failing beside it
            # says nothing more.
            verdicts.setdefault(input_key(origin), _verdict(origin, one))
    return verdicts, contended


def not_granted(cancelled: TransactionCancelled, commit: Commit) -> set[str]:
    """Tasks whose attempts did not get back what they wait for in a lane: they have just ended. Whoever records that
    takes them out of the lane; until then they must not keep others from their turn.
    """
    refused = [one for one in cancelled.cancelled if one.reason is CancelReason.CONDITION]
    owners = [(commit.owners[one.index], commit.operations[one.index].key.table) for one in refused]
    return {
        owner.entry.task_id
        for owner, table in owners
        if table is Table.ATTEMPTS and isinstance(owner, Dispatch) and owner.entry.runner is not None
    }


def _verdict(origin: Input, one: Cancelled) -> Resolved:
    stored = one.item.attributes if one.item is not None else None
    if isinstance(origin, Finished):
        return Resolved(Resolution.MOOT if _taken_before(origin, stored) else Resolution.STALE, stored)
    if not isinstance(origin, Arrival):
        return Resolved(Resolution.MOOT, stored)
    if stored is None or one.item is None or one.item.key.table is not Table.TASKS:
        return Resolved(Resolution.MOOT, stored)
    return Resolved(met(origin.task, stored), stored)


def _taken_before(said: Finished, stored: Attributes | None) -> bool:
    """The very word was taken already: its nudge came twice, or after the sweep had completed what it told."""
    if stored is None or "finished_at_ms" not in stored:
        return False
    taken = number(stored, "epoch"), number(stored, "started_at_ms"), number(stored, "finished_at_ms")
    return taken == (said.epoch, said.outcome.started_at_ms, said.outcome.finished_at_ms)


def met(task: Task, stored: Attributes) -> Resolution:
    """What a new submission is to the stored task of the same id."""
    if text(stored, "body_digest") != task.body_digest:
        return Resolution.CONFLICT
    if source_of(stored) == task.source and status_of(stored) is Status.DISPATCHED:
        return Resolution.REDELIVERED
    return Resolution.DUPLICATE
