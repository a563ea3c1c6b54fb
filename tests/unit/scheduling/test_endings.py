"""What follows when an attempt ends, and what its true cost changes."""

from typing import Any

import msgspec
import pytest

from pushlane.model.attempt import Hold, Outcome, OutcomeKind, Throttled, Usage
from pushlane.model.policy import Policy, Rate, RateUnit, SlotsOf
from pushlane.model.task import DeadlineKind, RetryPolicy, Status
from pushlane.scheduling.decisions import Block, Complete, Fail, Park, ParkReason, Repush, Retry
from pushlane.scheduling.endings import PUSHES_MAX, ending
from pushlane.scheduling.lineup import START_LEASE_MS
from pushlane.scheduling.settlement import Settlement, settlement
from pushlane.scheduling.snapshot import Finished, RetryState
from tests.unit.values import NOW, a_finish, a_task, an_arrival, an_attempt, an_entry, an_expiry, an_outcome


def an_end(kind: OutcomeKind, *, epoch: int = 1, uncounted: int = 0, told: Any = None, **changed: Any) -> Finished:
    entry = msgspec.structs.replace(an_entry(epoch=epoch, **changed), uncounted=uncounted)
    outcome = msgspec.structs.replace(an_outcome(kind), **(told or {}))
    ended = a_finish(1, outcome, RetryState(entry=entry, retry=a_task().retry))
    return msgspec.structs.replace(ended, epoch=epoch)


def unretryable(outcome: Outcome) -> dict[str, Any]:
    assert outcome.error is not None
    return {"error": msgspec.structs.replace(outcome.error, retryable=False)}


FAILED = OutcomeKind.FAILED
BUSY = {"throttled": Throttled(resource="llm", retry_after_seconds=4.5)}


def test_a_success_completes_the_task() -> None:
    assert ending(a_finish(), NOW) == Complete(finished=a_finish())


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        (an_end(FAILED), Retry),
        (an_end(FAILED, epoch=3), Fail),
        (an_end(FAILED, epoch=3, uncounted=1), Retry),
        (an_end(FAILED, told=unretryable(an_outcome(FAILED))), Fail),
    ],
)
def test_a_failure_is_retried_within_the_policy(ended: Finished, expected: type) -> None:
    assert isinstance(ending(ended, NOW), expected)


@pytest.mark.parametrize(
    ("pushes", "runner", "expected"),
    [(1, None, Repush), (PUSHES_MAX - 1, None, Repush), (PUSHES_MAX, None, Retry), (1, "r", Retry)],
)
def test_an_expired_lease_is_pushed_again_if_never_started_and_else_retried(
    pushes: int, runner: str | None, expected: type
) -> None:
    decision = ending(an_expiry(attempt=an_attempt(pushes=pushes, runner=runner)), NOW)
    assert isinstance(decision, expected)
    if isinstance(decision, Repush):
        assert decision.lease_until_ms == NOW + START_LEASE_MS


def test_a_lost_attempt_of_a_task_without_tries_left_fails_for_good() -> None:
    decision = ending(an_expiry(attempt=an_attempt(runner="r"), retry=RetryPolicy(max_attempts=1)), NOW)
    assert isinstance(decision, Fail)
    assert (decision.error.error_type, decision.status) == ("LeaseExpired", Status.DEAD_LETTERED)


@pytest.mark.parametrize("kind", [OutcomeKind.FAILED, OutcomeKind.YIELDED])
def test_a_task_whose_provider_is_busy_comes_again_after_the_pause_at_no_cost_to_its_retries(kind: OutcomeKind) -> None:
    decision = ending(an_end(kind, epoch=3, told=BUSY), NOW)
    assert isinstance(decision, Retry)
    assert (decision.due_ms, decision.entry.uncounted) == (NOW + 4_500, 1)


def test_a_yielded_attempt_goes_back_to_its_place_at_no_cost_to_its_retries() -> None:
    ended = an_end(OutcomeKind.YIELDED, epoch=3, uncounted=1)
    assert ended.retry is not None
    entry = msgspec.structs.replace(ended.retry.entry, uncounted=2)
    assert ending(ended, NOW) == Park(entry=entry, block=Block(ParkReason.PRIORITY), origin=ended)


def test_a_yielded_task_that_saved_what_it_did_is_not_late_because_it_yielded() -> None:
    """It ran 10 s of its 30 s, and by now would have had to start 4 s ago if all had to be done again."""
    late: dict[str, Any] = {"deadline_ms": NOW + 26_000}
    saved = ending(an_end(OutcomeKind.YIELDED, told={"checkpoint": {"page": 1}}, **late), NOW)
    lost = ending(an_end(OutcomeKind.YIELDED, **late), NOW)
    assert isinstance(saved, Park)
    assert isinstance(lost, Park)
    assert (saved.entry.late(NOW), lost.entry.late(NOW)) == (False, True)
    assert saved.entry.start_by_ms == lost.entry.start_by_ms + 10_000


def test_a_retry_that_would_come_after_its_hard_deadline_expires_instead() -> None:
    hard: dict[str, Any] = {"deadline_ms": NOW + 30_100, "deadline_kind": DeadlineKind.HARD}
    decision = ending(an_end(FAILED, **hard), NOW)
    assert isinstance(decision, Fail)
    assert decision.status is Status.EXPIRED


@pytest.mark.parametrize("kind", [OutcomeKind.FAILED, OutcomeKind.YIELDED])
def test_nothing_follows_for_a_task_that_is_gone(kind: OutcomeKind) -> None:
    assert ending(a_finish(1, an_outcome(kind)), NOW) is None


def test_an_arrival_ends_nothing() -> None:
    assert ending(an_arrival(), NOW) is None


POLICY = Policy(
    resources={
        "tpm": Rate(per_minute=60_000),
        "rpm": Rate(per_minute=60, unit=RateUnit.REQUESTS),
        "browsers": SlotsOf(slots=3),
    }
)


def used(tokens: int | None = None, **resources: int) -> Finished:
    """Ten seconds of the thirty that were estimated, and this usage of the thousand tokens that were reserved."""
    outcome = an_outcome(usage=Usage(tokens=tokens, resources=resources))
    holds = (Hold("tpm", 1_000), Hold("rpm", 1), Hold("browsers", 2, slots=True))
    return a_finish(1, outcome, tokens=1_000, cost_ms=31_000, holds=holds)


def test_an_attempt_that_reports_no_usage_counts_as_estimated_but_for_its_runtime() -> None:
    assert settlement(used(), POLICY, NOW) == Settlement(cost_ms=10_000 + 1_000 - 31_000)


@pytest.mark.parametrize(
    ("ended", "tokens", "draws_us"),
    [
        (used(1_500), 500, {"tpm": 500_000}),
        (used(400), -600, {"tpm": -600_000}),
        (used(1_000, rpm=3), 0, {"rpm": 2_000_000}),
        (used(1_000, tpm=1_100), 0, {"tpm": 100_000}),
        (used(1_000, browsers=9), 0, {}),
    ],
)
def test_actual_usage_trues_up_cost_tokens_and_rates(ended: Finished, tokens: int, draws_us: dict[str, int]) -> None:
    settled = settlement(ended, POLICY, NOW)
    assert (settled.cost_ms, settled.tokens) == (10_000 + tokens + 1_000 - 31_000, tokens)
    assert {hold.resource: us for hold, us in settled.draws_us} == draws_us


def test_a_refund_counts_only_inside_the_charges_own_window_and_debt_always() -> None:
    """Reserved 40 s ago: a minute's burst is 60 s, and the window of a burst of 30,000 tokens is 30 s."""
    narrow = Policy(resources={"tpm": Rate(per_minute=60_000, burst=30_000)})
    assert settlement(used(400), narrow, NOW).draws_us == ()
    assert [us for _, us in settlement(used(1_500), narrow, NOW).draws_us] == [500_000]


def test_an_attempt_that_fell_silent_is_taken_at_its_estimate() -> None:
    assert settlement(an_expiry(attempt=an_attempt(runner="r")), POLICY, NOW) == Settlement()


def test_what_the_policy_has_dropped_meanwhile_is_not_drawn() -> None:
    assert settlement(used(1_500), Policy(), NOW).draws_us == ()
