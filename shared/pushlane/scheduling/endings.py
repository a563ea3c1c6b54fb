"""What follows when an attempt ends: complete, retry, fail, yield, push again."""

import math
from typing import Final

import msgspec

from pushlane.model.attempt import ErrorDetail, OutcomeKind
from pushlane.scheduling.decisions import Block, Complete, Fail, Park, ParkReason, Repush, Retry
from pushlane.scheduling.lineup import START_LEASE_MS
from pushlane.scheduling.retry import may_retry, retry_delay_ms
from pushlane.scheduling.snapshot import Finished, Input, LeaseExpired, ended_epoch

PUSHES_MAX: Final = 3

NEVER_STARTED: Final = ErrorDetail(error_type="NeverStarted", message="the agent did not start the attempt")
LEASE_LOST: Final = ErrorDetail(error_type="LeaseExpired", message="the agent fell silent and its lease ran out")
THROTTLED: Final = ErrorDetail(error_type="Throttled", message="a provider refused the call for now")
UNEXPLAINED: Final = ErrorDetail(error_type="Unknown", message="")

Ending = Complete | Retry | Fail | Park | Repush


def ending(one: Input, now_ms: int) -> Ending | None:
    """The decision that an ended attempt asks for; None when the input ends none, or its task is gone."""
    match one:
        case Finished(outcome=outcome) if outcome.kind is OutcomeKind.SUCCEEDED:
            return Complete(finished=one)
        case Finished(outcome=outcome) if outcome.throttled is not None:
            pause_ms = math.ceil(outcome.throttled.retry_after_seconds * 1_000)
            return _again(one, outcome.error or THROTTLED, now_ms, due_ms=now_ms + pause_ms)
        case Finished(outcome=outcome) if outcome.kind is OutcomeKind.YIELDED:
            return _yielded(one, now_ms)
        case Finished(outcome=outcome):
            return _again(one, outcome.error or UNEXPLAINED, now_ms)
        case LeaseExpired(attempt=attempt) if attempt.runner is None and attempt.pushes < PUSHES_MAX:
            return Repush(expired=one, lease_until_ms=now_ms + START_LEASE_MS)
        case LeaseExpired(attempt=attempt):
            return _again(one, NEVER_STARTED if attempt.runner is None else LEASE_LOST, now_ms)
        case _:
            return None


def _again(
    ended: Finished | LeaseExpired, error: ErrorDetail, now_ms: int, due_ms: int | None = None
) -> Retry | Fail | None:
    """Retry by policy; `due_ms` given: at that time, and at no cost to the retries."""
    state = ended.retry
    if state is None:  # the task is gone: nothing to retry, and the sweep repairs what the attempt held
        return None
    epoch, entry = ended_epoch(ended), state.entry
    tries = epoch - entry.uncounted
    if due_ms is None:
        if not may_retry(state.retry, tries, error):
            return Fail(ended=ended, error=error)
        due_ms = now_ms + retry_delay_ms(state.retry, entry.task_id, tries)
    else:
        entry = msgspec.structs.replace(entry, uncounted=entry.uncounted + 1)
    if entry.hard and entry.late(due_ms):
        return Fail(ended=ended, error=error, expired=True)
    return Retry(ended=ended, entry=entry, due_ms=due_ms, error=error)


def _yielded(finished: Finished, now_ms: int) -> Park | None:
    """Back to its lane, where it keeps its place; what it did not use goes back to its tenant's account.

    One that would be late only because it had to yield is not: what it has done and saved is not to be done again.
    """
    if finished.retry is None:
        return None
    entry, outcome = finished.retry.entry, finished.outcome
    entry = msgspec.structs.replace(entry, uncounted=entry.uncounted + 1)
    if entry.late(now_ms) and outcome.checkpoint is not None:
        done_ms = max(0, outcome.finished_at_ms - outcome.started_at_ms)
        entry = msgspec.structs.replace(entry, start_by_ms=entry.start_by_ms + min(done_ms, entry.runtime_ms))
    return Park(entry=entry, block=Block(ParkReason.PRIORITY), origin=finished)
