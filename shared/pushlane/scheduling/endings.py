"""What follows when an attempt ends: complete, retry, fail, yield, push again."""

import math
from typing import Final

import msgspec

from pushlane.model.attempt import Attempt, ErrorDetail, Outcome, OutcomeKind
from pushlane.model.task import Exhausted, RetryPolicy, Status
from pushlane.scheduling.decisions import Block, Complete, Fail, GiveBack, Park, ParkReason, Repush, Retry, Suspend
from pushlane.scheduling.entry import Entry
from pushlane.scheduling.lineup import start_lease_ms
from pushlane.scheduling.pickup import unstarted
from pushlane.scheduling.retry import may_retry, retry_delay_ms
from pushlane.scheduling.snapshot import (
    Finished,
    GivesBack,
    Input,
    LeaseExpired,
    PoolSnapshot,
    RetryState,
    ended_epoch,
    has_children,
    held_by,
)

PUSHES_MAX: Final = 3
_AVOIDED_MAX: Final = 10

NEVER_STARTED: Final = ErrorDetail(error_type="NeverStarted", message="the agent did not start the attempt")
LEASE_LOST: Final = ErrorDetail(error_type="LeaseExpired", message="the agent fell silent and its lease ran out")
THROTTLED: Final = ErrorDetail(error_type="Throttled", message="a provider refused the call for now")
UNEXPLAINED: Final = ErrorDetail(error_type="Unknown", message="")

CANCELLED: Final = ErrorDetail(error_type="Cancelled", message="it was cancelled", retryable=False)
DEADLINE_MISSED: Final = ErrorDetail(
    error_type="DeadlineMissed", message="its hard deadline came while it ran", retryable=False
)
AGENT_GONE: Final = ErrorDetail(error_type="AgentUnavailable", message="nothing is heard of its agent any more")
REROUTED: Final = ErrorDetail(error_type="Rerouted", message="its tenant's mode leaves it to other agents by now")
STALLED: Final = ErrorDetail(error_type="Stalled", message="the agent's process lived, and showed no progress")

Ending = Complete | Retry | Suspend | GiveBack | Fail | Park | Repush


def rerouted(one: Input, snapshot: PoolSnapshot) -> bool:
    """An attempt that was not started lies with an agent which its tenant's mode takes its tasks from by now."""
    if not isinstance(one, LeaseExpired) or one.attempt.runner is not None:
        return False
    held = held_by(one)
    route = snapshot.policy.tenant(held.tenant_id).route(one.retry.entry.route)
    with_it = (agent for agent in snapshot.agents if (agent.pool, agent.agent_id) == (held.agent_pool, held.agent_id))
    return route is not None and any(agent.route is not route for agent in with_it)


def ending(one: Input, now_ms: int, *, moved: bool = False) -> Ending | None:
    """The decision that an attempt asks for which ends, or gives back; None when none does, or its task is gone.
    `moved`: it is to be tried by the other way to an agent.
    """
    match one:
        case Finished(outcome=outcome) if outcome.kind is OutcomeKind.SUCCEEDED:
            return Complete(finished=one)
        case (
            Finished(retry=RetryState(cancelled_by=str(reason)))
            | LeaseExpired(retry=RetryState(cancelled_by=str(reason)))
        ):
            error = msgspec.structs.replace(CANCELLED, message=reason)
            return Fail(ended=one, error=error, status=Status.CANCELLED)
        case Finished(outcome=outcome) if outcome.throttled is not None:
            pause_ms = math.ceil(outcome.throttled.retry_after_seconds * 1_000)
            return _again(one, outcome.error or THROTTLED, now_ms, due_ms=now_ms + pause_ms)
        case Finished(outcome=outcome) if outcome.kind is OutcomeKind.CANCELLED:
            return Fail(ended=one, error=outcome.error or CANCELLED, status=Status.CANCELLED)
        case Finished(outcome=outcome) if outcome.kind is OutcomeKind.YIELDED:
            return _yielded(one, now_ms)
        case Finished(outcome=outcome) if outcome.kind is OutcomeKind.SUSPENDED:
            return _suspended(one, now_ms)
        case Finished(outcome=outcome):
            return _again(one, outcome.error or UNEXPLAINED, now_ms)
        case GivesBack():
            return GiveBack(gives=one)
        case LeaseExpired(attempt=attempt) if attempt.ends_at_ms is not None and attempt.ends_at_ms <= now_ms:
            return Fail(ended=one, error=DEADLINE_MISSED, status=Status.EXPIRED)
        case LeaseExpired(attempt=attempt, agent_gone=True):
            # What was not started is not the task's fault, and no try of it.
            return _again(one, AGENT_GONE, now_ms, due_ms=now_ms if attempt.runner is None else None)
        case LeaseExpired() if moved:
            return _again(one, REROUTED, now_ms, due_ms=now_ms)
        case LeaseExpired(attempt=attempt) if attempt.runner is None and attempt.pushes < PUSHES_MAX:
            return Repush(expired=one, lease_until_ms=start_lease_ms(attempt.ends_at_ms, now_ms))
        case LeaseExpired(attempt=attempt):
            return _again(one, _silence(attempt), now_ms)
        case _:
            return None


def _again(
    ended: Finished | LeaseExpired, error: ErrorDetail, now_ms: int, due_ms: int | None = None
) -> Retry | Fail | None:
    """Retry by policy; `due_ms` given: at that time, and at no cost to the retries."""
    state = ended.retry
    if state is None:  # the task is gone: nothing to retry, and the sweep repairs what the attempt held
        return None
    epoch, entry = ended_epoch(ended), unstarted(ended, _with_children(ended, state.entry))
    tries = epoch - entry.uncounted
    if due_ms is None:
        if not may_retry(state.retry, tries, error):
            dead = error.retryable and state.retry.exhausted is Exhausted.DEAD_LETTER
            return Fail(ended=ended, error=error, status=Status.DEAD_LETTERED if dead else Status.FAILED, entry=entry)
        due_ms = now_ms + retry_delay_ms(state.retry, entry.task_id, tries)
        entry = _avoiding(entry, held_by(ended).agent_id, state.retry)
    else:
        entry = msgspec.structs.replace(entry, uncounted=entry.uncounted + 1)
    if entry.hard and entry.late(due_ms):
        return Fail(ended=ended, error=error, status=Status.EXPIRED)
    pool = _escalated(state, epoch - entry.uncounted + 1)
    if pool is not None:
        home = None if entry.home_pool == pool else entry.home_pool
        entry = msgspec.structs.replace(entry, home_pool=home, avoid=())
    return Retry(ended=ended, entry=entry, due_ms=due_ms, error=error, pool=pool)


def _avoiding(entry: Entry, agent_id: str, policy: RetryPolicy) -> Entry:
    """The next attempt goes to another agent than those that failed it, where one is free."""
    if not policy.other_agent:
        return entry
    others = [one for one in entry.avoid if one != agent_id]
    return msgspec.structs.replace(entry, avoid=(*others, agent_id)[-_AVOIDED_MAX:])


def _escalated(state: RetryState, next_try: int) -> str | None:
    """The pool to which the task moves for its next try; None: it stays where it is."""
    policy = state.retry
    return policy.other_pool if policy.other_pool != state.pool and next_try >= policy.other_pool_from else None


def _silence(attempt: Attempt) -> ErrorDetail:
    """Why nothing was heard of the attempt when its lease ran out."""
    if attempt.runner is None:
        return NEVER_STARTED
    return STALLED if attempt.stalled else LEASE_LOST


def _with_children(ended: Finished | LeaseExpired, entry: Entry) -> Entry:
    """Whom this attempt submitted is to hear of the task's end, whichever attempt that will be."""
    return msgspec.structs.replace(entry, tells=True) if has_children(ended) else entry


def _suspended(finished: Finished, now_ms: int) -> Suspend | None:
    """It goes on at its time, or when the signal comes; at once when one came that it had not seen."""
    if finished.retry is None:
        return None
    entry, outcome = _with_children(finished, finished.retry.entry), finished.outcome
    entry = _less_to_do(msgspec.structs.replace(entry, uncounted=entry.uncounted + 1), outcome)
    unseen = finished.retry.signals > outcome.signals_seen
    return Suspend(ended=finished, entry=entry, due_ms=now_ms if unseen else outcome.resume_at_ms)


def _yielded(finished: Finished, now_ms: int) -> Park | None:
    """Back to its lane, where it keeps its place; what it did not use goes back to its tenant's account.

    One that would be late only because it had to yield is not: what it has done and saved is not to be done again.
    """
    if finished.retry is None:
        return None
    entry, outcome = _with_children(finished, finished.retry.entry), finished.outcome
    entry = msgspec.structs.replace(entry, uncounted=entry.uncounted + 1)
    if entry.late(now_ms):
        entry = _less_to_do(entry, outcome)
    return Park(entry=entry, block=Block(ParkReason.PRIORITY), origin=finished)


def _less_to_do(entry: Entry, outcome: Outcome) -> Entry:
    """What it has done and saved is not to be done again, so it may start so much later for its deadline."""
    if not entry.dated or outcome.checkpoint is None:
        return entry
    done_ms = max(0, outcome.finished_at_ms - outcome.started_at_ms)
    return msgspec.structs.replace(entry, start_by_ms=entry.start_by_ms + min(done_ms, entry.runtime_ms))
