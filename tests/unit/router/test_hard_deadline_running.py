"""A hard deadline that comes while the task runs, is pushed, or is to be tried again: it expires, late words fail."""

from typing import Any

import msgspec
import pytest

from pushlane.model.attempt import Order
from pushlane.model.events import FactName
from pushlane.ports import ConditionFailed, Message
from pushlane.testing import AttemptByHand, InMemoryDispatcher
from tests.unit.router.by_hand import a_dispatcher, assert_idle, assert_over, put, running, say, stored
from tests.unit.router.faults import FailAt

DEADLINE_SECONDS = 60


def hard(dispatcher: InMemoryDispatcher, seconds: int = DEADLINE_SECONDS, **more: Any) -> dict[str, Any]:
    deadline_ms = dispatcher.clock.now_ms() + seconds * 1_000
    return {"deadline_ms": deadline_ms, "deadline_kind": "hard", "estimate": {"runtime_seconds": 5}, **more}


def late_nudge(dispatcher: InMemoryDispatcher, attempt: AttemptByHand) -> None:
    """The word of a zombie: it has not heard that it is over, and tells its end anyway."""
    now_ms = dispatcher.clock.now_ms()
    outcome = {"kind": "succeeded", "started_at_ms": now_ms - 1, "finished_at_ms": now_ms, "result": {"late": True}}
    nudge = {"token": attempt.dispatch.token, "runner": attempt.runner, "outcome": outcome}
    dispatcher.sender.send("queue/results", [Message(msgspec.json.encode(nudge).decode())])
    dispatcher.run_until_idle()


def test_it_expires_when_its_time_is_over_and_its_slot_goes_on_to_the_next() -> None:
    dispatcher = a_dispatcher()
    attempt = running(dispatcher, "task", **hard(dispatcher))
    waiter = put(dispatcher, "waiter")
    dispatcher.advance(DEADLINE_SECONDS - 1)
    assert dispatcher.statuses(attempt.task_id, waiter) == ["DISPATCHED", "PARKED"]
    dispatcher.advance(2)
    assert_over(dispatcher, attempt.task_id, "EXPIRED")
    assert dispatcher.status(waiter) == "DISPATCHED"
    [fact] = dispatcher.facts_of(FactName.TASK_EXPIRED, attempt.task_id)
    assert fact.data.reason == "DeadlineMissed: its hard deadline came while it ran"
    assert fact.data.missed


def test_no_check_in_outlives_it_and_the_late_completion_is_refused_and_recorded() -> None:
    dispatcher = a_dispatcher()
    attempt = running(dispatcher, "task", **hard(dispatcher))
    for _ in range(DEADLINE_SECONDS // 10 - 1):
        dispatcher.advance(10)
        assert attempt.check_in() is Order.CONTINUE
    dispatcher.advance(11)
    with pytest.raises(ConditionFailed):
        attempt.succeed()
    before = stored(dispatcher, attempt.task_id)
    late_nudge(dispatcher, attempt)
    assert stored(dispatcher, attempt.task_id) == before
    [stale] = dispatcher.facts_of(FactName.RESULT_STALE)
    assert (stale.data.task_id, stale.data.epoch) == (attempt.task_id, 1)
    assert_over(dispatcher, attempt.task_id, "EXPIRED")
    assert_idle(dispatcher)


def test_what_is_done_in_time_stands_however_late_that_is_heard() -> None:
    dispatcher = a_dispatcher()
    attempt = running(dispatcher, "task", **hard(dispatcher))
    dispatcher.advance(DEADLINE_SECONDS - 2)
    attempt.succeed({"in": "time"}, nudge=False)
    dispatcher.advance_with_sweeps(2)
    assert_over(dispatcher, attempt.task_id, "SUCCEEDED")


def test_one_that_was_pushed_and_never_started_expires_at_its_deadline_too() -> None:
    dispatcher = a_dispatcher()
    task_id = put(dispatcher, "task", **hard(dispatcher, 20))
    dispatcher.advance(21)
    assert_over(dispatcher, task_id, "EXPIRED")
    with pytest.raises(LookupError):
        dispatcher.take("one")
    assert_idle(dispatcher)


def test_a_failure_that_cannot_be_tried_again_in_time_expires() -> None:
    dispatcher = a_dispatcher()
    retry = {"backoff_seconds": 60, "backoff_max_seconds": 60}
    attempt = running(dispatcher, "task", **hard(dispatcher, retry=retry))
    dispatcher.advance(40)
    attempt.fail()
    dispatcher.run_until_idle()
    assert_over(dispatcher, attempt.task_id, "EXPIRED")


def test_a_soft_deadline_ends_no_attempt() -> None:
    dispatcher = a_dispatcher()
    attempt = running(dispatcher, "task", **{**hard(dispatcher), "deadline_kind": "soft"})
    dispatcher.advance(DEADLINE_SECONDS + 60)
    attempt.succeed()
    dispatcher.run_until_idle()
    assert_over(dispatcher, attempt.task_id, "SUCCEEDED")


def test_a_cancel_shortly_before_it_does_not_prolong_it() -> None:
    dispatcher = a_dispatcher()
    attempt = running(dispatcher, "task", **hard(dispatcher))
    dispatcher.advance(DEADLINE_SECONDS - 3)
    say(dispatcher, "CancelTask", attempt.task_id)
    dispatcher.advance(4)
    assert_over(dispatcher, attempt.task_id, "CANCELLED")


def test_the_retry_of_one_has_the_same_end() -> None:
    dispatcher = a_dispatcher()
    first = running(dispatcher, "task", **hard(dispatcher))
    first.fail()
    dispatcher.advance(5)
    again = dispatcher.take("one")
    assert again.dispatch.ends_at_ms == first.dispatch.ends_at_ms
    dispatcher.advance(DEADLINE_SECONDS)
    assert_over(dispatcher, first.task_id, "EXPIRED")


@pytest.mark.parametrize("moment", ["before", "after"])
def test_whichever_call_fails_it_expires_once(moment: str) -> None:
    for number in range(1, 60):
        faults = FailAt(number, moment)
        dispatcher = a_dispatcher(faults=faults)
        attempt = running(dispatcher, "task", **hard(dispatcher))
        faults.armed = True
        dispatcher.advance(DEADLINE_SECONDS + 1)
        reached, faults.armed = faults.calls >= number, False
        dispatcher.advance_with_sweeps(1)
        assert_over(dispatcher, attempt.task_id, "EXPIRED")
        assert_idle(dispatcher)
        if not reached:
            assert number > 5
            return
    raise AssertionError("it takes more than 60 calls")
