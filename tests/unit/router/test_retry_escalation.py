"""Retries that escalate: to another agent of the pool, and to another pool."""

from typing import Any

import pytest

from pushlane.client.why import why
from pushlane.model.events import FactName
from pushlane.ports import Table
from pushlane.state import keys
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.by_hand import AttemptByHand
from tests.unit.router.by_hand import a_dispatcher, assert_over, put, running, say, stored
from tests.unit.router.faults import FailAt

SOON = {"backoff_seconds": 1, "max_attempts": 4}


def retry(**more: Any) -> dict[str, Any]:
    return {"retry": {**SOON, **more}}


def with_another_agent() -> InMemoryDispatcher:
    dispatcher = a_dispatcher()
    dispatcher.register(None, agent_id="two", slots=1, capabilities=("echo",))
    return dispatcher


def take_from(dispatcher: InMemoryDispatcher, *agents: str, pool: str = "default") -> tuple[str, AttemptByHand]:
    """Whichever of the agents was pushed something."""
    for agent_id in agents:
        try:
            return agent_id, dispatcher.take(agent_id, pool)
        except LookupError:
            continue
    raise AssertionError(f"nothing was pushed to any of {agents}")


def agents_of_its_tries(dispatcher: InMemoryDispatcher, count: int, **data: Any) -> list[str]:
    put(dispatcher, "task", **data)
    used: list[str] = []
    for _ in range(count):
        agent_id, attempt = take_from(dispatcher, "one", "two")
        used.append(agent_id)
        attempt.fail()
        dispatcher.advance(10)
    return used


# Another agent


def test_the_next_try_goes_to_an_agent_that_has_not_failed_it() -> None:
    first, second, *_ = agents_of_its_tries(with_another_agent(), 2, **retry())
    assert {first, second} == {"one", "two"}


def test_it_does_not_when_its_policy_does_not_want_that() -> None:
    assert len(set(agents_of_its_tries(with_another_agent(), 3, **retry(other_agent=False)))) == 1


def test_one_that_failed_it_takes_it_again_when_no_other_is_free() -> None:
    dispatcher = with_another_agent()
    put(dispatcher, "task", **retry())
    failed_on, attempt = take_from(dispatcher, "one", "two")
    other = {"one": "two", "two": "one"}[failed_on]
    put(dispatcher, "busy")
    assert dispatcher.take(other).task_id != attempt.task_id
    attempt.fail()
    dispatcher.advance(2)
    assert dispatcher.take(failed_on).task_id == attempt.task_id


def test_it_is_remembered_across_a_sleep_and_in_the_lane() -> None:
    dispatcher = with_another_agent()
    put(dispatcher, "task", **retry())
    failed_on, attempt = take_from(dispatcher, "one", "two")
    attempt.fail()
    dispatcher.advance(2)
    other, again = take_from(dispatcher, "one", "two")
    again.suspend({"page": 1}, awaits="approval")
    dispatcher.run_until_idle()
    say(dispatcher, "SignalTask", attempt.task_id, name="approval")
    assert take_from(dispatcher, "one", "two")[0] == other != failed_on


def test_a_busy_provider_is_no_fault_of_the_agent() -> None:
    dispatcher = with_another_agent()
    put(dispatcher, "task", **retry())
    _, attempt = take_from(dispatcher, "one", "two")
    attempt.throttled("llm", 1)
    dispatcher.advance(2)
    assert "avoid" not in stored(dispatcher, attempt.task_id)


# Another pool


def two_pools(**more: Any) -> InMemoryDispatcher:
    dispatcher = a_dispatcher(**more)
    dispatcher.register(None, agent_id="big", slots=1, capabilities=("echo",), pool="large")
    return dispatcher


ESCALATES = retry(other_pool="large")


def moved(dispatcher: InMemoryDispatcher, **more: Any) -> AttemptByHand:
    """A task whose first attempt has failed in its pool; the next one is running in the other."""
    attempt = running(dispatcher, "task", **ESCALATES, **more)
    attempt.fail()
    dispatcher.advance(2)
    return dispatcher.take("big", "large")


def test_the_next_try_is_the_other_pools_and_its_word_finds_its_way() -> None:
    dispatcher = two_pools()
    attempt = moved(dispatcher)
    assert (attempt.dispatch.epoch, attempt.dispatch.pool) == (2, "large")
    assert (dispatcher.used("one"), dispatcher.used("big", "large")) == (0, 1)
    attempt.succeed({"done": True})
    dispatcher.run_until_idle()
    assert_over(dispatcher, attempt.task_id, "SUCCEEDED", ("default", "large"))
    assert dispatcher.used("big", "large") == 0
    [fact] = dispatcher.facts_of(FactName.TASK_SUCCEEDED, attempt.task_id)
    assert fact.data.pool == "large"


def test_it_moves_only_from_the_named_try_on_and_stays_there() -> None:
    dispatcher = two_pools()
    put(dispatcher, "task", **retry(other_pool="large", other_pool_from=3))
    pools: list[str] = []
    for _ in range(4):
        pool = str(stored(dispatcher, put(dispatcher, "task", **retry(other_pool="large", other_pool_from=3)))["pool"])
        agent_id = {"default": "one", "large": "big"}[pool]
        dispatcher.take(agent_id, pool).fail()
        pools.append(pool)
        dispatcher.advance(10)
    assert pools == ["default", "default", "large", "large"]


def test_it_comes_at_its_time_also_when_that_is_further_than_a_message_can_be_delayed() -> None:
    dispatcher = two_pools()
    far = {"backoff_seconds": 900, "backoff_max_seconds": 3_600, "max_attempts": 4, "other_pool": "large"}
    task_id = put(dispatcher, "task", retry={**far, "other_pool_from": 4})
    for _ in range(2):
        dispatcher.take("one").fail()
        dispatcher.run_until_idle()
        dispatcher.advance_to(int(str(stored(dispatcher, task_id)["due_ms"])) + 1_000)
    dispatcher.take("one").fail()
    dispatcher.run_until_idle()
    [delayed] = dispatcher.store.query(Table.SCHEDULER, keys.delayed_pk("large"), limit=10)
    due_ms = int(delayed.key.sk.partition("#")[0])
    assert due_ms - dispatcher.clock.now_ms() > 1_500_000
    dispatcher.advance_to(due_ms - 1_000)
    with pytest.raises(LookupError):
        dispatcher.take("big", "large")
    dispatcher.advance(2)
    assert dispatcher.take("big", "large").dispatch.epoch == 4


def test_a_wake_up_of_the_other_pool_that_is_lost_costs_a_minute() -> None:
    dispatcher = two_pools()
    attempt = running(dispatcher, "task", **ESCALATES)
    attempt.fail()
    dispatcher._deliver("queue/results")
    dispatcher.sender.drain("queue/wakeups", limit=100)
    dispatcher.clock.advance(3_000)
    dispatcher.sender.drain("queue/wakeups", limit=100)
    dispatcher.advance_with_sweeps(1)
    assert dispatcher.take("big", "large").task_id == attempt.task_id


def test_a_moved_task_is_cancelled_signalled_and_explained_where_it_is_now() -> None:
    dispatcher = two_pools()
    attempt = running(dispatcher, "task", **ESCALATES)
    attempt.fail()
    dispatcher.run_until_idle()
    now_ms = dispatcher.clock.now_ms()
    assert why(dispatcher.store, attempt.task_id, now_ms).pool == "large"
    dispatcher.advance(2)
    again = dispatcher.take("big", "large")
    say(dispatcher, "SignalTask", attempt.task_id, name="hint")
    again.check_in()
    assert [one.name for one in again.orders.new_signals] == ["hint"]
    assert "big is running it" in why(dispatcher.store, attempt.task_id, dispatcher.clock.now_ms()).explanation
    say(dispatcher, "CancelTask", attempt.task_id)
    dispatcher.advance(11)
    assert_over(dispatcher, attempt.task_id, "CANCELLED", ("default", "large"))
    assert dispatcher.used("big", "large") == 0


@pytest.mark.parametrize("where", ["delayed", "parked"])
def test_a_moved_task_is_cancelled_while_it_waits(where: str) -> None:
    dispatcher = two_pools()
    put(dispatcher, "busy", pool="large")
    attempt = running(dispatcher, "task", **ESCALATES)
    attempt.fail()
    dispatcher.run_until_idle()
    if where == "parked":
        dispatcher.advance(2)
        assert dispatcher.status(attempt.task_id) == "PARKED"
    say(dispatcher, "CancelTask", attempt.task_id)
    assert_over(dispatcher, attempt.task_id, "CANCELLED", ("default", "large"))
    assert dispatcher.waiting("large") == 0


def test_a_word_from_the_pool_that_it_left_is_stale() -> None:
    dispatcher = two_pools()
    first = running(dispatcher, "task", **ESCALATES)
    first.fail(nudge=False)
    dispatcher.sweep()  # finds its end; its nudge was lost
    dispatcher.advance(2)
    dispatcher.take("big", "large").succeed({"done": True})
    dispatcher.run_until_idle()
    assert_over(dispatcher, first.task_id, "SUCCEEDED", ("default", "large"))
    assert dispatcher.facts_of(FactName.RESULT_STALE) == []


def test_a_task_that_overflowed_comes_home_when_its_other_pool_is_where_it_came_from() -> None:
    dispatcher = two_pools()
    dispatcher.set_policy(pools={"default": {"lane_max": 1, "overflow_pool": "large"}})
    running(dispatcher, "busy")
    put(dispatcher, "first", pool="large")
    first = dispatcher.take("big", "large")
    put(dispatcher, "lane")
    task_id = put(dispatcher, "task", **retry(other_pool="default"))
    assert stored(dispatcher, task_id)["pool"] == "large"
    first.succeed()
    dispatcher.run_until_idle()
    attempt = dispatcher.take("big", "large")
    assert attempt.task_id == task_id
    attempt.fail()
    dispatcher.advance(2)
    assert (stored(dispatcher, task_id)["pool"], dispatcher.status(task_id)) == ("default", "PARKED")
    say(dispatcher, "CancelTask", task_id)
    assert_over(dispatcher, task_id, "CANCELLED", ("default", "large"))


@pytest.mark.parametrize("moment", ["before", "after"])
def test_whichever_call_fails_it_is_tried_there_once(moment: str) -> None:
    for number in range(1, 80):
        faults = FailAt(number, moment)
        dispatcher = two_pools(faults=faults)
        first = running(dispatcher, "task", **ESCALATES)
        first.fail()
        faults.armed = True
        dispatcher.advance(3)
        reached, faults.armed = faults.calls >= number, False
        dispatcher.advance_with_sweeps(1)
        again = dispatcher.take("big", "large")
        assert (again.task_id, again.dispatch.epoch) == (first.task_id, 2)
        again.succeed()
        dispatcher.run_until_idle()
        assert_over(dispatcher, first.task_id, "SUCCEEDED", ("default", "large"))
        assert (dispatcher.used("one"), dispatcher.used("big", "large")) == (0, 0)
        if not reached:
            assert number > 10
            return
    raise AssertionError("it takes more than 80 calls")
