"""Retries: their backoff, whether there is one, and the budget that keeps a broken tenant from amplifying its load."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.model.attempt import OutcomeKind, Throttled
from pushlane.model.policy import Policy, TenantPolicy
from pushlane.model.task import DeadlineKind, RetryPolicy, Status, Tier
from pushlane.scheduling.books import Books
from pushlane.scheduling.decisions import Fail, Retry
from pushlane.scheduling.endings import ending
from pushlane.scheduling.plan import plan
from pushlane.scheduling.retry import RetryBudget, may_retry, retry_delay_ms
from pushlane.scheduling.snapshot import AccountView, Finished, RetryState
from tests.unit.scheduling.situations import a_pool
from tests.unit.values import NOW, a_finish, a_task, an_agent, an_attempt, an_entry, an_expiry, an_outcome

MINUTE_MS = 60_000


def failing(number: int, *, retry: RetryPolicy | None = None, tenant_id: str = "atlas", **changed: Any) -> Finished:
    """The first attempt of a task has failed."""
    entry = an_entry(number, epoch=1, tenant_id=tenant_id, **changed)
    state = RetryState(entry=entry, retry=retry or RetryPolicy())
    return a_finish(number, an_outcome(OutcomeKind.FAILED), state, tenant_id=tenant_id)


def budgeted(per_minute: int | None) -> Policy:
    return Policy(default_tenant=TenantPolicy(retries_per_minute=per_minute))


def retries(policy: Policy, *ended: Finished, now_ms: int = NOW, account: AccountView | None = None) -> list[Retry]:
    accounts = {(Tier.NORMAL, "atlas"): account or AccountView()}
    planned = plan(a_pool(an_agent(), policy=policy, accounts=accounts), ended, now_ms)
    return [one for one in planned.decisions if isinstance(one, Retry)]


# Backoff


@given(epoch=st.integers(1, 10), task_id=st.text(min_size=1, max_size=20))
def test_the_backoff_doubles_up_to_its_most_and_at_least_half_of_it_is_fixed(epoch: int, task_id: str) -> None:
    policy = RetryPolicy(backoff_seconds=2, backoff_max_seconds=100)
    ceiling_ms = min(100_000, 2_000 * 2 ** (epoch - 1))
    assert ceiling_ms / 2 <= retry_delay_ms(policy, task_id, epoch) <= ceiling_ms
    assert retry_delay_ms(policy, task_id, epoch) == retry_delay_ms(policy, task_id, epoch)


@pytest.mark.parametrize(("tries", "retryable", "expected"), [(1, True, True), (3, True, False), (1, False, False)])
def test_there_is_a_retry_while_tries_are_left_and_the_error_allows_one(
    tries: int, retryable: bool, expected: bool
) -> None:
    error = an_outcome(OutcomeKind.FAILED).error
    assert error is not None
    assert may_retry(RetryPolicy(), tries, msgspec.structs.replace(error, retryable=retryable)) is expected


# Escalation


def test_the_agents_that_failed_it_are_remembered_each_once_and_not_for_ever() -> None:
    entry = msgspec.structs.replace(an_entry(epoch=1), avoid=("one", *(f"agent-{n}" for n in range(9))))
    ended = failing(1)
    assert ended.retry is not None
    made = ending(msgspec.structs.replace(ended, retry=msgspec.structs.replace(ended.retry, entry=entry)), NOW)
    assert isinstance(made, Retry)
    assert made.entry.avoid == (*(f"agent-{n}" for n in range(9)), "one")


@pytest.mark.parametrize(
    ("epoch", "uncounted", "pool", "moves_to"),
    [
        (1, 0, "default", None),
        (2, 0, "default", "large"),
        (2, 1, "default", None),
        (2, 0, "large", None),
    ],
)
def test_it_moves_once_it_has_been_tried_so_often(epoch: int, uncounted: int, pool: str, moves_to: str | None) -> None:
    retry = RetryPolicy(max_attempts=5, other_pool="large", other_pool_from=3)
    entry = msgspec.structs.replace(an_entry(epoch=epoch), uncounted=uncounted, home_pool="large")
    attempt = an_attempt(epoch=epoch, runner="r")
    lost = msgspec.structs.replace(an_expiry(attempt=attempt), retry=RetryState(entry=entry, retry=retry, pool=pool))
    made = ending(lost, NOW)
    assert isinstance(made, Retry)
    assert made.pool == moves_to
    assert (made.entry.home_pool, made.entry.avoid) == ((None, ()) if moves_to else ("large", ("one",)))


# The budget


def test_retries_within_the_budget_come_when_their_backoff_is_over() -> None:
    ended = [failing(n) for n in range(1, 11)]
    free = retries(budgeted(None), *ended)
    assert retries(budgeted(10), *ended) == free


def test_what_is_over_the_budget_comes_when_there_is_room() -> None:
    made = retries(budgeted(6), *(failing(n) for n in range(1, 11)))
    # Six at once, and from then on one in ten seconds, the first of which begins now.
    assert [one.due_ms - NOW for one in made[6:]] == [10_000, 20_000, 30_000, 40_000]
    assert all(one.due_ms - NOW <= 1_000 for one in made[:6])


def test_a_budget_that_is_drawn_on_already_is_gone_on_with() -> None:
    full = AccountView(retry_tat_us=(NOW + MINUTE_MS) * 1_000)
    [made] = retries(budgeted(6), failing(1), account=full)
    assert made.due_ms == NOW + 10_000


def test_a_long_backoff_holds_up_no_other_retry() -> None:
    slow = RetryPolicy(backoff_seconds=900, backoff_max_seconds=900)
    made = retries(budgeted(6), failing(1, retry=slow), failing(2))
    assert made[1].due_ms - NOW <= 1_000


def test_one_tenants_budget_is_not_anothers() -> None:
    mine = [failing(n) for n in range(1, 8)]
    made = retries(budgeted(6), *mine, failing(8, tenant_id="borea"))
    assert made[-1].ended == failing(8, tenant_id="borea")
    assert made[-1].due_ms - NOW <= 1_000


def test_what_a_busy_provider_refused_draws_nothing() -> None:
    busy = an_outcome(OutcomeKind.FAILED, throttled=Throttled(resource="llm", retry_after_seconds=3))
    refused = msgspec.structs.replace(failing(1), outcome=busy)
    made = retries(budgeted(1), *[refused] * 3, failing(2))
    assert [one.due_ms - NOW for one in made[:3]] == [3_000] * 3
    assert made[3].due_ms - NOW <= 1_000


def test_a_hard_deadline_that_the_budget_leaves_no_time_for_ends_the_task() -> None:
    hard: dict[str, Any] = {"deadline_ms": NOW + 35_000, "deadline_kind": DeadlineKind.HARD}
    full = AccountView(retry_tat_us=(NOW + MINUTE_MS) * 1_000)
    budget = RetryBudget(budgeted(6), {(Tier.NORMAL, "atlas"): full}, NOW)
    retry = ending(failing(1, **hard), NOW)
    assert isinstance(retry, Retry)
    ended = budget.within(retry)
    assert isinstance(ended, Fail)
    assert ended.status is Status.EXPIRED


class Storm:
    """A tenant whose tasks fail, in one plan after the other; all have the same backoff, so the budget says when."""

    def __init__(self, per_minute: int, retry: RetryPolicy) -> None:
        self.policy = budgeted(per_minute)
        self.retry = retry
        self.now_ms = NOW
        self.tat_us = 0

    def of(self, steps: list[tuple[int, int]]) -> list[int]:
        """When the retries are due of so many failures each so many milliseconds after the ones before."""
        return [due_ms for wait_ms, count in steps for due_ms in self._fail(wait_ms, count)]

    def _fail(self, wait_ms: int, count: int) -> list[int]:
        self.now_ms += wait_ms
        ref = (Tier.NORMAL, "atlas")
        snapshot = a_pool(an_agent(), policy=self.policy, accounts={ref: AccountView(retry_tat_us=self.tat_us)})
        ended = [failing(n, retry=self.retry) for n in range(1, count + 1)]
        made = plan(snapshot, ended, self.now_ms).decisions
        books = Books(snapshot, self.now_ms)
        for one in made:
            books.add(one)
        self.tat_us = max(self.tat_us, self.now_ms * 1_000) + books.account(ref).retry_draw_us
        return [one.due_ms for one in made if isinstance(one, Retry)]


@given(
    per_minute=st.integers(1, 120),
    steps=st.lists(st.tuples(st.integers(0, 30_000), st.integers(1, 20)), min_size=1, max_size=25),
)
def test_in_no_minute_more_fall_due_than_the_burst_and_what_the_minute_earns(
    per_minute: int, steps: list[tuple[int, int]]
) -> None:
    """Whenever and however many fail: the dues follow each other as the budget allows, over all plans."""
    dues = sorted(Storm(per_minute, RetryPolicy(backoff_seconds=0.2, backoff_max_seconds=0.2)).of(steps))
    assert len(dues) == sum(count for _, count in steps)  # none is lost
    for first, due_ms in enumerate(dues):
        window = [one for one in dues[first:] if one <= due_ms + MINUTE_MS]
        earned = per_minute * (MINUTE_MS + 200) / MINUTE_MS
        assert len(window) <= per_minute + earned + 1


def test_in_a_lasting_storm_no_minute_has_more_than_the_budget_once_the_burst_is_over() -> None:
    retry = RetryPolicy(backoff_seconds=0.2, backoff_max_seconds=0.2)
    dues = sorted(Storm(30, retry).of([(1_000, 5)] * 300))
    assert len(dues) == 1_500
    late = [due_ms for due_ms in dues if due_ms > NOW + MINUTE_MS]
    assert all(later - due_ms >= MINUTE_MS - 300 for due_ms, later in zip(late, late[30:], strict=False))


def test_the_default_is_sixty_a_minute_and_null_is_no_limit() -> None:
    assert TenantPolicy().retries_per_minute == 60
    assert not TenantPolicy().limited
    assert a_task().retry == RetryPolicy()
