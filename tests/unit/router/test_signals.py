"""Signals: accepted once, never lost, seen by the running attempt and by every later one, whoever dies in between."""

from typing import Any

import msgspec
import pytest

from pushlane.model.attempt import Order
from pushlane.model.commands import SignalTaskData
from pushlane.model.errors import InvalidEvent
from pushlane.model.signals import SIGNALS_MAX
from pushlane.ports import ConditionFailed
from pushlane.router.signals import deliver
from pushlane.state.briefing import load_signals
from pushlane.testing import AttemptByHand, InMemoryDispatcher
from tests.unit.router.by_hand import a_dispatcher, assert_idle, assert_over, put, running, say, send, stored
from tests.unit.router.faults import Beside, FailAt


def signal(dispatcher: InMemoryDispatcher, task_id: str, name: str = "approval", **more: Any) -> None:
    say(dispatcher, "SignalTask", task_id, name=name, **more)


def names(attempt: AttemptByHand) -> list[str]:
    """The signals that the attempt was given when it was pushed."""
    return [one.name for one in attempt.dispatch.signals]


def suspended(dispatcher: InMemoryDispatcher, awaits: str = "approval", **data: Any) -> AttemptByHand:
    attempt = running(dispatcher, "task", **data)
    attempt.suspend({"page": 1}, awaits=awaits)
    dispatcher.run_until_idle()
    assert dispatcher.status(attempt.task_id) == "SUSPENDED"
    return attempt


# Before, while and after it waits


def test_a_suspended_task_goes_on_from_its_checkpoint_with_the_signal_that_it_waits_for() -> None:
    dispatcher = a_dispatcher()
    first = suspended(dispatcher)
    assert_idle(dispatcher)
    signal(dispatcher, first.task_id, data={"approved": True})
    again = dispatcher.take("one")
    assert (again.dispatch.epoch, again.dispatch.checkpoint) == (2, {"page": 1})
    [told] = again.dispatch.signals
    assert (told.number, told.name, told.data) == (1, "approval", {"approved": True})
    again.succeed()
    dispatcher.run_until_idle()
    assert_over(dispatcher, first.task_id, "SUCCEEDED")


def test_one_that_waits_for_another_signal_sleeps_on_and_is_told_both_in_the_end() -> None:
    dispatcher = a_dispatcher()
    first = suspended(dispatcher, awaits="approval")
    signal(dispatcher, first.task_id, name="remark")
    assert dispatcher.status(first.task_id) == "SUSPENDED"
    signal(dispatcher, first.task_id, name="approval")
    assert names(dispatcher.take("one")) == ["remark", "approval"]


def test_one_that_sleeps_is_not_woken_by_a_signal_and_has_it_when_it_goes_on() -> None:
    dispatcher = a_dispatcher()
    first = running(dispatcher, "task")
    first.suspend({"page": 1}, seconds=100)
    dispatcher.run_until_idle()
    signal(dispatcher, first.task_id)
    assert dispatcher.status(first.task_id) == "SUSPENDED"
    dispatcher.advance(101)
    assert names(dispatcher.take("one")) == ["approval"]


def test_a_running_attempt_sees_it_at_its_next_check_in() -> None:
    dispatcher = a_dispatcher()
    attempt = running(dispatcher, "task")
    signal(dispatcher, attempt.task_id, data={"n": 1})
    signal(dispatcher, attempt.task_id, name="remark", signal_id="other")
    attempt.check_in()
    assert [one.name for one in attempt.orders.new_signals] == ["approval", "remark"]
    assert attempt.orders.order is Order.CONTINUE


def test_one_that_was_pushed_and_not_started_sees_it_when_it_starts() -> None:
    dispatcher = a_dispatcher()
    task_id = put(dispatcher, "task")
    signal(dispatcher, task_id)
    attempt = dispatcher.take("one")
    assert [one.name for one in attempt.orders.new_signals] == ["approval"]


@pytest.mark.parametrize("state", ["parked", "retrying"])
def test_one_that_waits_its_turn_is_told_when_it_runs(state: str) -> None:
    dispatcher = a_dispatcher()
    if state == "parked":
        before = running(dispatcher, "before")
        task_id = put(dispatcher, "task")
        signal(dispatcher, task_id)
        before.succeed()
    else:
        attempt = running(dispatcher, "task")
        attempt.fail()
        dispatcher.run_until_idle()
        task_id = attempt.task_id
        signal(dispatcher, task_id)
    dispatcher.advance(2)
    attempt = dispatcher.take("one")
    assert (attempt.task_id, names(attempt)) == (task_id, ["approval"])


def test_a_dead_task_keeps_what_it_is_told_until_it_is_redriven() -> None:
    dispatcher = a_dispatcher()
    attempt = running(dispatcher, "task", retry={"max_attempts": 1})
    attempt.fail()
    dispatcher.run_until_idle()
    signal(dispatcher, attempt.task_id)
    assert dispatcher.status(attempt.task_id) == "DEAD_LETTERED"
    say(dispatcher, "RedriveTask", attempt.task_id)
    assert names(dispatcher.take("one")) == ["approval"]


# A signal and a suspension at the same moment


def test_an_attempt_cannot_wait_for_a_signal_while_there_is_one_that_it_has_not_seen() -> None:
    dispatcher = a_dispatcher()
    attempt = running(dispatcher, "task")
    signal(dispatcher, attempt.task_id)
    with pytest.raises(ConditionFailed):
        attempt.suspend({"page": 1}, awaits="approval", signals_seen=0)
    attempt.check_in()
    attempt.suspend({"page": 1}, awaits="another", signals_seen=attempt.orders.signals)
    dispatcher.run_until_idle()
    assert dispatcher.status(attempt.task_id) == "SUSPENDED"


def test_one_that_comes_after_the_attempts_word_and_before_that_is_heard_wakes_it() -> None:
    dispatcher = a_dispatcher()
    attempt = running(dispatcher, "task")
    attempt.suspend({"page": 1}, awaits="approval", nudge=False)
    signal(dispatcher, attempt.task_id)
    again = dispatcher.take("one")
    assert (again.dispatch.epoch, names(again)) == (2, ["approval"])


@pytest.mark.parametrize("heard", [False, True])
def test_one_that_slips_in_while_the_attempt_suspends_itself_wakes_it(heard: bool) -> None:
    """The signal was about to be written on the attempt when that ended; its end is heard right away, or later."""
    faults = Beside(lambda operations: any("signals" in getattr(one, "set", {}) for one in operations))
    dispatcher = a_dispatcher(faults=faults)
    attempt = running(dispatcher, "task")

    def suspends() -> None:
        attempt.suspend({"page": 1}, awaits="approval")
        if heard:
            dispatcher._deliver("queue/results")

    faults.early = suspends
    signal(dispatcher, attempt.task_id)
    assert faults.over
    assert names(dispatcher.take("one")) == ["approval"]


def test_one_that_comes_between_the_dispatch_and_its_push_is_seen_once_it_runs() -> None:
    def dispatches(operations: Any) -> bool:
        return any(getattr(one, "set", {}).get("status") == "DISPATCHED" for one in operations)

    faults = Beside(dispatches)
    dispatcher = a_dispatcher(faults=faults)
    before = running(dispatcher, "before")
    task_id = put(dispatcher, "task")
    said = SignalTaskData(tenant_id="atlas", task_id=task_id, name="approval")
    faults.late = lambda: deliver(dispatcher.turn, dispatcher.pusher, said, "now")
    before.succeed()
    dispatcher.run_until_idle()
    assert faults.over
    attempt = dispatcher.take("one")
    assert {*names(attempt), *(one.name for one in attempt.orders.new_signals)} == {"approval"}


# Twice, and with deaths in between


def test_the_same_signal_is_one_however_often_it_comes() -> None:
    dispatcher = a_dispatcher()
    attempt = running(dispatcher, "task")
    for _ in range(3):
        signal(dispatcher, attempt.task_id, signal_id="once")
    attempt.check_in()
    assert attempt.orders.signals == 1
    assert len(load_signals(dispatcher.store, attempt.task_id)) == 1


def test_one_that_comes_again_wakes_a_task_that_was_not_woken_the_first_time() -> None:
    """Whoever accepted it died before the task went on; the message comes again."""
    faults = Beside(lambda operations: any("signals" in getattr(one, "set", {}) for one in operations))
    dispatcher = a_dispatcher(faults=faults)
    attempt = suspended(dispatcher)

    class Killed(BaseException):
        """The process is gone."""

    def dies() -> None:
        raise Killed

    faults.late = dies
    said = SignalTaskData(tenant_id="atlas", task_id=attempt.task_id, name="approval")
    with pytest.raises(Killed):
        deliver(dispatcher.turn, dispatcher.pusher, said, "message-1")
    assert dispatcher.status(attempt.task_id) == "SUSPENDED"
    assert deliver(dispatcher.turn, dispatcher.pusher, said, "message-1") == "resumed"
    assert names(dispatcher.take("one")) == ["approval"]


def in_state(dispatcher: InMemoryDispatcher, state: str) -> AttemptByHand:
    attempt = running(dispatcher, "task")
    if state == "suspended":
        attempt.suspend({"page": 1}, awaits="approval")
        dispatcher.run_until_idle()
    if state == "suspended unheard":
        attempt.suspend({"page": 1}, awaits="approval", nudge=False)
    return attempt


@pytest.mark.parametrize("state", ["running", "suspended", "suspended unheard"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_whichever_call_fails_it_is_seen_and_seen_as_one(state: str, moment: str) -> None:
    for number in range(1, 60):
        faults = FailAt(number, moment)
        dispatcher = a_dispatcher(faults=faults)
        attempt = in_state(dispatcher, state)
        faults.armed = True
        signal(dispatcher, attempt.task_id)
        reached, faults.armed = faults.calls >= number, False
        dispatcher.advance_with_sweeps(1)
        try:
            assert [one.number for one in load_signals(dispatcher.store, attempt.task_id)] == [1]
            if state == "running":
                attempt.check_in()
                assert [one.name for one in attempt.orders.new_signals] == ["approval"]
                attempt.succeed()
            else:
                again = dispatcher.take("one")
                assert (again.dispatch.epoch, names(again)) == (2, ["approval"])
                again.succeed()
            dispatcher.run_until_idle()
            assert_over(dispatcher, attempt.task_id, "SUCCEEDED")
            assert_idle(dispatcher)
        except (AssertionError, LookupError) as error:
            raise AssertionError(f"call {number} failing {moment}: {error}") from error
        if not reached:
            assert number > 4
            return
    raise AssertionError("a signal takes more than 60 calls")


# What cannot have one


def test_a_task_that_has_ended_takes_none_and_the_sender_hears_why() -> None:
    dispatcher = a_dispatcher()
    attempt = running(dispatcher, "task")
    attempt.succeed()
    dispatcher.run_until_idle()
    before = stored(dispatcher, attempt.task_id)
    signal(dispatcher, attempt.task_id)
    assert stored(dispatcher, attempt.task_id) == before
    [refused] = dispatcher.quarantined()
    assert "the task has ended: SUCCEEDED" in msgspec.json.encode(refused).decode()


def test_a_repeat_of_an_accepted_one_is_no_error_after_the_end() -> None:
    dispatcher = a_dispatcher()
    attempt = running(dispatcher, "task")
    signal(dispatcher, attempt.task_id, signal_id="once")
    attempt.succeed()
    dispatcher.run_until_idle()
    signal(dispatcher, attempt.task_id, signal_id="once")
    assert dispatcher.quarantined() == []


def test_a_task_has_so_many_and_no_more() -> None:
    dispatcher = a_dispatcher()
    attempt = running(dispatcher, "task")
    for number in range(SIGNALS_MAX + 1):
        send(dispatcher, "SignalTask", attempt.task_id, name="n", signal_id=f"s-{number}")
    dispatcher.run_until_idle()
    attempt.check_in()
    assert attempt.orders.signals == SIGNALS_MAX
    assert len(dispatcher.quarantined()) == 1
    attempt.give_way({"page": 1})
    dispatcher.run_until_idle()
    assert len(dispatcher.take("one").dispatch.signals) == SIGNALS_MAX


def test_all_that_it_is_told_fits_on_its_attempt() -> None:
    dispatcher = a_dispatcher()
    attempt = running(dispatcher, "task")
    for number in range(9):
        data = {"text": "x" * 15_000}
        send(dispatcher, "SignalTask", attempt.task_id, name="n", signal_id=f"s-{number}", data=data)
    dispatcher.run_until_idle()
    attempt.check_in()
    assert attempt.orders.signals == 8
    [refused] = dispatcher.quarantined()
    assert (refused["field"], refused["code"]) == ("$.data.data", "too_many")


def test_another_tenants_task_is_unknown() -> None:
    dispatcher = a_dispatcher()
    attempt = running(dispatcher, "task")
    said = SignalTaskData(tenant_id="borea", task_id=attempt.task_id, name="approval")
    with pytest.raises(InvalidEvent, match="no task of this id"):
        deliver(dispatcher.turn, dispatcher.pusher, said, "x")
