"""A tenant's limits: attempts in flight, attempts a minute, tokens a day and a month; and that nothing held leaks."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from pushlane.agent import TaskContext
from pushlane.inmemory import ManualClock
from pushlane.model.events import FactName
from tests.unit.router.limited import Limited

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def at(year: int, month: int, day: int, hour: int = 12) -> ManualClock:
    return ManualClock(round(datetime(year, month, day, hour, tzinfo=UTC).timestamp() * 1_000))


def limited(**rules: Any) -> dict[str, Any]:
    return {"tenants": {"atlas": rules}}


def budget(window: str = "day", **limits: int) -> dict[str, Any]:
    return limited(**{f"tokens_per_{window}": limits})


def estimated(tokens: int) -> dict[str, Any]:
    return {"estimate": {"tokens": tokens}}


def test_the_cap_in_flight_holds_over_pools_and_others_go_past() -> None:
    world = Limited(limited(in_flight_max=2))
    world.register("far-one", slots=5, pool="far")
    task_ids = [world.submit(pool=pool) for pool in ("default", "far", "default", "far")]
    assert world.dispatched(task_ids) == task_ids[:2]
    assert [world.reason(task_id) for task_id in task_ids[2:]] == ["tenant-quota"] * 2
    assert world.tenant()["in_flight"] == 2
    assert world.dispatcher.status(world.submit(tenant_id="borea")) == "DISPATCHED"


def test_what_a_capped_tenant_gives_back_it_gets_at_once_in_any_pool() -> None:
    world = Limited(limited(in_flight_max=1))
    world.register("far-one", pool="far")
    task_ids = [world.submit(pool=pool) for pool in ("default", "far", "default")]
    most = 0
    while world.dispatcher.step():
        most = max(most, world.live())
    assert most == 1
    assert {world.dispatcher.status(task_id) for task_id in task_ids} == {"SUCCEEDED"}
    world.assert_all_given_back()


def test_a_task_rate_admits_its_burst_and_then_so_many_a_minute() -> None:
    world = Limited(limited(tasks_per_minute=6, task_burst=2))
    task_ids = [world.submit() for _ in range(4)]
    assert world.dispatched(task_ids) == task_ids[:2]
    assert world.reason(task_ids[2]) == "tenant-quota"
    world.dispatcher.advance(9)
    assert world.dispatcher.status(task_ids[2]) == "PARKED"
    world.dispatcher.advance(2)
    assert [world.dispatcher.status(task_id) for task_id in task_ids[2:]] == ["SUCCEEDED", "PARKED"]
    world.dispatcher.advance(10)
    assert world.dispatcher.status(task_ids[3]) == "SUCCEEDED"


def test_a_soft_budget_is_told_once_a_window_and_stops_nothing() -> None:
    world = Limited(budget(soft=100), clock=at(2026, 11, 22))
    for _ in range(3):
        world.submit(**estimated(60))
    [fact] = world.facts(FactName.BUDGET_EXCEEDED)
    assert (fact.data.tenant_id, fact.data.reason) == ("atlas", "120 tokens this day, the soft budget is 100")
    assert world.live() == 3
    world.clock.advance(DAY_MS)
    world.submit(**estimated(101))
    assert len(world.facts(FactName.BUDGET_EXCEEDED)) == 2


def test_a_soft_budget_that_only_the_true_use_passes_is_told() -> None:
    world = Limited(budget(soft=100))
    world.submit()
    world.work = world.using(150)
    world.run_one()
    assert len(world.facts(FactName.BUDGET_EXCEEDED)) == 1


@pytest.mark.parametrize(
    ("window", "start", "before_ms", "after_ms"),
    [
        ("day", at(2026, 11, 22), 11 * HOUR_MS, 2 * HOUR_MS),
        ("day", at(2026, 12, 31), 11 * HOUR_MS, 2 * HOUR_MS),
        ("month", at(2026, 11, 28), 2 * DAY_MS, 2 * DAY_MS),
        ("month", at(2026, 12, 31), 11 * HOUR_MS, 2 * HOUR_MS),
        ("month", at(2028, 2, 28), DAY_MS, DAY_MS),
    ],
    ids=["day", "new year's eve", "month", "december", "leap year"],
)
def test_what_does_not_fit_the_rest_of_a_hard_budget_waits_for_the_next_window(
    window: str, start: ManualClock, before_ms: int, after_ms: int
) -> None:
    world = Limited(budget(window, hard=100), clock=ManualClock(start.now_ms()))
    world.submit(**estimated(60))
    waiting = world.submit(**estimated(60))
    assert world.reason(waiting) == "window"
    world.dispatcher.advance(before_ms / 1_000)
    assert world.dispatcher.status(waiting) == "PARKED"
    world.dispatcher.advance(after_ms / 1_000)
    assert world.dispatcher.status(waiting) == "SUCCEEDED"
    assert world.tenant()[f"{window}_tokens"] == 60


@pytest.mark.parametrize(
    ("window", "retry_after_seconds"), [("day", 12 * 3_600 - 1), ("month", (8 * 24 + 12) * 3_600 - 1)]
)
def test_a_spent_hard_budget_refuses_at_the_door_until_the_window_ends(window: str, retry_after_seconds: int) -> None:
    world = Limited(budget(window, hard=100), clock=at(2026, 11, 22))
    world.submit(**estimated(100))
    refused = world.submit()
    assert world.dispatcher.task(refused) is None
    [kept] = world.dispatcher.quarantined()
    assert (kept["code"], kept["field"]) == ("budget_spent", "$.data.tenant_id")
    assert kept["retry_after_seconds"] == retry_after_seconds
    assert kept["reason"].endswith(f"; try again after {retry_after_seconds} s")
    [fact] = world.facts(FactName.TASK_REJECTED)
    assert (fact.data.code, fact.data.retry_after_seconds) == ("budget_spent", retry_after_seconds)
    assert world.dispatcher.status(world.submit(tenant_id="borea")) == "DISPATCHED"
    world.clock.advance(retry_after_seconds * 1_000)
    assert world.dispatcher.status(world.submit()) == "DISPATCHED"


def test_what_was_accepted_before_the_budget_ran_out_waits_and_is_not_refused() -> None:
    world = Limited(budget(hard=100), slots=1, clock=at(2026, 11, 22))
    world.submit()
    waiting = world.submit(idempotency_key="k")
    assert world.reason(waiting) == "capacity"
    world.work = world.using(100)
    world.dispatcher.run_until_idle()
    assert world.dispatcher.status(waiting) == "PARKED"
    assert world.submit(idempotency_key="k") == waiting  # delivered again
    assert world.dispatcher.quarantined() == []
    world.work = world.using(0)
    world.dispatcher.advance(11 * 3_600)
    assert world.dispatcher.status(waiting) == "PARKED"
    world.dispatcher.advance(2 * 3_600)
    assert world.dispatcher.status(waiting) == "SUCCEEDED"


@pytest.mark.parametrize("window", ["day", "month"])
def test_more_than_the_whole_budget_is_refused_naming_the_field(window: str) -> None:
    world = Limited(budget(window, hard=100))
    assert world.dispatcher.task(world.submit(**estimated(101))) is None
    [kept] = world.dispatcher.quarantined()
    assert (kept["field"], kept["code"]) == ("$.data.estimate.tokens", "too_large")


def test_tokens_that_were_not_used_go_back_to_the_budget() -> None:
    world = Limited(budget(hard=100))
    world.submit(**estimated(90))
    waiting = world.submit(**estimated(60))
    assert world.reason(waiting) == "window"
    world.work = world.using(20)
    world.run_one()
    assert world.dispatcher.status(waiting) == "DISPATCHED"
    assert world.tenant()["day_tokens"] == 80


def test_a_refund_of_yesterday_is_no_credit_for_today() -> None:
    world = Limited(budget(hard=100), clock=at(2026, 11, 22, 23))
    world.submit(**estimated(90))
    world.clock.advance(2 * HOUR_MS)
    world.submit(**estimated(50))
    world.work = world.using(0)
    world.run_one()
    assert (world.tenant()["day_tokens"], world.tenant()["month_tokens"]) == (50, 50)


def test_true_use_of_yesterday_s_task_counts_today() -> None:
    world = Limited(budget(hard=100), clock=at(2026, 11, 30, 23))
    world.submit(**estimated(10))
    world.clock.advance(2 * HOUR_MS)
    world.work = world.using(40)
    world.run_one()
    assert (world.tenant()["day_tokens"], world.tenant()["month_tokens"]) == (30, 30)


def test_once_all_is_done_nothing_is_held_and_the_account_is_what_was_used() -> None:
    """Those that ran while nobody waited are not charged; the others are, by their true cost."""
    policy = {
        **limited(in_flight_max=10, tokens_per_day={"hard": 10**6}, weight=2),
        "resources": {"tpm": {"kind": "rate", "per_minute": 10**6}, "licence": {"kind": "slots", "slots": 9}},
        "task_types": {"echo": {"resources": ["tpm", "licence"]}},
    }
    world = Limited(policy, slots=1)
    world.work = world.using(tokens=300, runtime_ms=700)
    task_ids = [world.submit(estimate={"tokens": 5_000, "runtime_seconds": 60}) for _ in range(4)]
    assert world.account()["uncharged_ms"] == 65_000
    start_ms = world.account()["virtual_ms"]  # what was in flight when somebody waited first
    world.dispatcher.run_until_idle()
    assert {world.dispatcher.status(task_id) for task_id in task_ids} == {"SUCCEEDED"}
    world.assert_all_given_back()
    assert world.account()["virtual_ms"] == start_ms + 3 * (300 + 700) // 2
    assert (world.tenant()["day_tokens"], world.tenant()["month_tokens"]) == (1_200, 1_200)
    assert world.drawn("tpm", 10**6) <= 1_200


def test_failures_and_lost_attempts_give_everything_back() -> None:
    policy = {
        **limited(in_flight_max=3),
        "resources": {"licence": {"kind": "slots", "slots": 3}},
        "task_types": {"echo": {"resources": ["licence"]}},
    }
    world = Limited(policy, slots=3)

    def breaks(_ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        raise RuntimeError("it broke")

    world.work = breaks
    failing = [world.submit(retry={"max_attempts": 2}) for _ in range(4)]
    world.dispatcher.advance(60)
    lost = world.submit(retry={"max_attempts": 1})
    for _ in range(3):
        world.dispatcher.sender.drain("queue/agent/one")
        world.clock.advance(31_000)
        world.dispatcher.sweep()
    assert {world.dispatcher.status(task_id) for task_id in [*failing, lost]} == {"DEAD_LETTERED"}
    world.assert_all_given_back()
