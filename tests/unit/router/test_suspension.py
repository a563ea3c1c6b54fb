"""A task that sleeps or waits for a signal holds nothing, goes on at its time from its checkpoint, and never twice."""

from typing import Any

import pytest

from pushlane.model.events import FactName
from pushlane.testing import AttemptByHand, InMemoryDispatcher
from tests.unit.router.by_hand import a_dispatcher, account, assert_idle, assert_over, put, running, say, stored
from tests.unit.router.faults import FailAt


def asleep(dispatcher: InMemoryDispatcher, seconds: float = 100, **data: Any) -> AttemptByHand:
    attempt = running(dispatcher, "task", **data)
    attempt.suspend({"page": 1}, seconds=seconds)
    dispatcher.run_until_idle()
    return attempt


def hard(dispatcher: InMemoryDispatcher, seconds: int, runtime_seconds: float) -> dict[str, Any]:
    deadline_ms = dispatcher.clock.now_ms() + seconds * 1_000
    return {
        "deadline_ms": deadline_ms,
        "deadline_kind": "hard",
        "estimate": {"runtime_seconds": runtime_seconds},
    }


def test_a_sleeping_task_holds_nothing_and_another_runs_meanwhile() -> None:
    dispatcher = a_dispatcher()
    first = asleep(dispatcher)
    assert dispatcher.status(first.task_id) == "SUSPENDED"
    assert_idle(dispatcher)
    assert account(dispatcher, "atlas").uncharged_ms == 0
    assert running(dispatcher, "other").task_id != first.task_id


def test_it_goes_on_at_its_time_and_not_before() -> None:
    dispatcher = a_dispatcher()
    first = asleep(dispatcher, 100)
    dispatcher.advance(99)
    assert dispatcher.status(first.task_id) == "SUSPENDED"
    dispatcher.advance(2)
    again = dispatcher.take("one")
    assert (again.task_id, again.dispatch.epoch, again.dispatch.checkpoint) == (first.task_id, 2, {"page": 1})
    again.succeed()
    dispatcher.run_until_idle()
    assert_over(dispatcher, first.task_id, "SUCCEEDED")
    names = [fact.metadata.name for fact in dispatcher.facts if fact.data.task_id == first.task_id]
    assert names.count(FactName.TASK_SUSPENDED) == 1


def test_it_competes_like_any_other_when_its_time_comes() -> None:
    dispatcher = a_dispatcher()
    first = asleep(dispatcher, 10)
    busy = running(dispatcher, "busy")
    dispatcher.advance(11)
    assert dispatcher.status(first.task_id) == "PARKED"
    busy.succeed()
    dispatcher.run_until_idle()
    assert dispatcher.take("one").task_id == first.task_id


def test_a_lost_wake_up_is_made_good_by_the_sweep() -> None:
    dispatcher = a_dispatcher()
    first = asleep(dispatcher, 100)
    dispatcher.clock.advance(101_000)
    dispatcher.sender.drain("queue/wakeups", limit=100)
    dispatcher.run_until_idle()
    assert dispatcher.status(first.task_id) == "SUSPENDED"
    dispatcher.sweep()
    assert dispatcher.status(first.task_id) == "DISPATCHED"


def test_it_sleeps_longer_than_a_message_can_be_delayed() -> None:
    dispatcher = a_dispatcher()
    first = asleep(dispatcher, 86_400)
    dispatcher.advance(86_399)
    assert dispatcher.status(first.task_id) == "SUSPENDED"
    dispatcher.advance(2)
    assert dispatcher.take("one").task_id == first.task_id


def test_sleeping_costs_no_retry_however_often() -> None:
    dispatcher = a_dispatcher()
    attempt = running(dispatcher, "task", retry={"max_attempts": 1})
    for page in range(5):
        attempt.suspend({"page": page}, seconds=1)
        dispatcher.advance(2)
        attempt = dispatcher.take("one")
        assert attempt.dispatch.checkpoint == {"page": page}
    assert attempt.dispatch.epoch == 6
    attempt.fail()
    dispatcher.run_until_idle()
    assert dispatcher.status(attempt.task_id) == "DEAD_LETTERED"


def test_a_wait_for_a_signal_ends_at_its_timeout_without_one() -> None:
    dispatcher = a_dispatcher()
    first = running(dispatcher, "task")
    first.suspend({"page": 1}, awaits="approval", seconds=50)
    dispatcher.advance(51)
    again = dispatcher.take("one")
    assert (again.task_id, again.dispatch.signals) == (first.task_id, ())


def test_a_signal_before_the_timeout_takes_the_timeout_away() -> None:
    dispatcher = a_dispatcher()
    first = running(dispatcher, "task")
    first.suspend({"page": 1}, awaits="approval", seconds=50)
    dispatcher.run_until_idle()
    say(dispatcher, "SignalTask", first.task_id, name="approval")
    again = dispatcher.take("one")
    dispatcher.advance(100)
    assert dispatcher.status(first.task_id) == "DISPATCHED"
    again.succeed()
    dispatcher.advance_with_sweeps(2)
    assert_over(dispatcher, first.task_id, "SUCCEEDED")


# A hard deadline


def test_a_sleep_beyond_a_hard_deadline_ends_at_the_deadline() -> None:
    dispatcher = a_dispatcher()
    first = asleep(dispatcher, 1_000, **hard(dispatcher, 60, 10))
    dispatcher.advance(45)
    assert dispatcher.status(first.task_id) == "SUSPENDED"
    dispatcher.advance(20)
    assert_over(dispatcher, first.task_id, "EXPIRED")
    dispatcher.advance_with_sweeps(20)
    assert_over(dispatcher, first.task_id, "EXPIRED")
    assert_idle(dispatcher)


@pytest.mark.parametrize("awaits", [None, "approval"])
def test_what_it_has_done_and_saved_is_not_to_be_done_again_so_it_is_not_late(awaits: str | None) -> None:
    """It needs 40 s and has worked for 30; then it waits until 56 s of its 75 are over."""
    dispatcher = a_dispatcher()
    first = running(dispatcher, "task", **hard(dispatcher, 75, 40))
    dispatcher.advance(30)
    first.suspend({"done": 30}, seconds=25, awaits=awaits)
    dispatcher.advance(26)
    assert dispatcher.status(first.task_id) == "DISPATCHED"
    dispatcher.take("one").succeed()
    dispatcher.run_until_idle()
    assert_over(dispatcher, first.task_id, "SUCCEEDED")


def test_what_it_has_done_adds_up_over_several_sleeps() -> None:
    dispatcher = a_dispatcher()
    attempt = running(dispatcher, "task", **hard(dispatcher, 100, 40))
    for part in range(3):
        dispatcher.advance(10)
        attempt.suspend({"done": part}, seconds=18)
        dispatcher.advance(19)
        attempt = dispatcher.take("one")  # with 10 s left to do, 87 s later
    attempt.succeed()
    dispatcher.run_until_idle()
    assert_over(dispatcher, attempt.task_id, "SUCCEEDED")


def test_one_that_goes_on_with_a_hard_deadline_leaves_nothing_behind() -> None:
    dispatcher = a_dispatcher()
    first = running(dispatcher, "task", **hard(dispatcher, 600, 10))
    first.suspend({"page": 1}, awaits="approval", seconds=100)
    dispatcher.run_until_idle()
    busy = running(dispatcher, "busy")
    say(dispatcher, "SignalTask", first.task_id, name="approval")
    assert dispatcher.status(first.task_id) == "PARKED"
    assert stored(dispatcher, first.task_id)["status"] == "PARKED"
    busy.succeed()
    dispatcher.run_until_idle()
    dispatcher.take("one").succeed()
    dispatcher.run_until_idle()
    assert_over(dispatcher, first.task_id, "SUCCEEDED")


# Deaths in between


@pytest.mark.parametrize("moment", ["before", "after"])
def test_whichever_call_fails_it_sleeps_and_goes_on_once(moment: str) -> None:
    for number in range(1, 80):
        faults = FailAt(number, moment)
        dispatcher = a_dispatcher(faults=faults)
        first = running(dispatcher, "task")
        put(dispatcher, "other")
        first.suspend({"page": 1}, seconds=30)
        faults.armed = True
        dispatcher.advance(40)
        reached, faults.armed = faults.calls >= number, False
        dispatcher.take("one").succeed()
        dispatcher.advance_with_sweeps(1)
        again = dispatcher.take("one")
        assert (again.task_id, again.dispatch.epoch, again.dispatch.checkpoint) == (first.task_id, 2, {"page": 1})
        again.succeed()
        dispatcher.run_until_idle()
        assert_over(dispatcher, first.task_id, "SUCCEEDED")
        assert_idle(dispatcher)
        if not reached:
            assert number > 10
            return
    raise AssertionError("it takes more than 80 calls")
