"""Attempts of which nothing is heard: a dead process, a stalled one, a lost push, a finish that nobody heard of.

Each is told apart by what the attempt's own item says, within the bound of its lease.
"""

from typing import Any

import msgspec
import pytest

from pushlane.agent.heartbeat.inmemory import Process
from pushlane.model.events import FactName
from pushlane.model.task import DEFAULT_POOL
from pushlane.ports import ConditionFailed, Table, Update
from pushlane.state import keys
from pushlane.testing import AttemptByHand, InMemoryDispatcher
from tests.unit.router.by_hand import a_dispatcher, assert_idle, assert_over, put, stored
from tests.unit.router.faults import Beside, FailAt

LEASE_SECONDS = 30
STALL_SECONDS = 60
# Each failure costs a try, so that the second is the last word on the task.
ONCE: dict[str, Any] = {"retry": {"max_attempts": 1}}


def watched(dispatcher: InMemoryDispatcher, **data: Any) -> AttemptByHand:
    """A running attempt with a heart, of a type that has to show progress every minute."""
    dispatcher.set_policy(task_types={"echo": {"stall_seconds": STALL_SECONDS}})
    put(dispatcher, "task", **data)
    return dispatcher.take("one", heartbeat=True)


def error_type(dispatcher: InMemoryDispatcher, task_id: str) -> str:
    return str(msgspec.json.decode(str(stored(dispatcher, task_id)["error"]))["error_type"])


def test_a_living_process_that_shows_progress_keeps_its_attempt_as_long_as_its_invocation_lasts() -> None:
    dispatcher = a_dispatcher()
    attempt = watched(dispatcher)
    for _ in range(16):
        dispatcher.advance(STALL_SECONDS - 5)
        attempt.check_in()
    attempt.succeed()
    dispatcher.run_until_idle()
    assert_over(dispatcher, attempt.task_id, "SUCCEEDED")
    assert stored(dispatcher, attempt.task_id)["epoch"] == 1


def test_a_dead_process_is_found_within_its_lease_and_the_task_runs_again() -> None:
    dispatcher = a_dispatcher()
    attempt = watched(dispatcher)
    dispatcher.advance(40)
    attempt.check_in(checkpoint={"page": 4})
    assert attempt.kept is not None
    attempt.kept.process = Process.DEAD  # type: ignore[attr-defined]  # the in-memory heart has one
    dispatcher.advance(LEASE_SECONDS + 5)
    again = dispatcher.take("one")
    assert (again.task_id, again.dispatch.epoch, again.dispatch.checkpoint) == (attempt.task_id, 2, {"page": 4})
    assert error_type(dispatcher, attempt.task_id) == "LeaseExpired"
    assert dispatcher.used("one") == 1


def test_a_process_that_lives_and_shows_no_progress_has_stalled() -> None:
    dispatcher = a_dispatcher()
    attempt = watched(dispatcher, **ONCE)
    dispatcher.advance(STALL_SECONDS - 5)
    assert dispatcher.status(attempt.task_id) == "DISPATCHED"
    dispatcher.advance(10)
    assert dispatcher.status(attempt.task_id) == "DEAD_LETTERED"
    assert error_type(dispatcher, attempt.task_id) == "Stalled"
    with pytest.raises(ConditionFailed):
        attempt.succeed()


def test_progress_puts_the_stall_off() -> None:
    dispatcher = a_dispatcher()
    attempt = watched(dispatcher, **ONCE)
    dispatcher.advance(STALL_SECONDS - 5)
    attempt.check_in()
    dispatcher.advance(STALL_SECONDS - 5)
    assert dispatcher.status(attempt.task_id) == "DISPATCHED"
    dispatcher.advance(10)
    assert error_type(dispatcher, attempt.task_id) == "Stalled"


def test_a_process_that_died_before_it_could_stall_has_fallen_silent() -> None:
    dispatcher = a_dispatcher()
    attempt = watched(dispatcher, **ONCE)
    assert attempt.kept is not None
    attempt.kept.process = Process.DEAD  # type: ignore[attr-defined]  # the in-memory heart has one
    dispatcher.advance(LEASE_SECONDS + 5)
    assert error_type(dispatcher, attempt.task_id) == "LeaseExpired"


def test_without_a_rule_for_it_nothing_stalls() -> None:
    dispatcher = a_dispatcher()
    put(dispatcher, "task", **ONCE)
    attempt = dispatcher.take("one", heartbeat=True)
    dispatcher.advance(850)  # its invocation ends at 900
    assert dispatcher.status(attempt.task_id) == "DISPATCHED"


def test_a_lost_push_is_pushed_again_under_the_same_epoch() -> None:
    dispatcher = a_dispatcher()
    task_id = put(dispatcher, "task")
    dispatcher.sender.drain("queue/agent/one", limit=10)
    dispatcher.advance(31)
    attempt = dispatcher.take("one")
    assert (attempt.task_id, attempt.dispatch.epoch) == (task_id, 1)
    attempt.succeed()
    dispatcher.run_until_idle()
    assert_over(dispatcher, task_id, "SUCCEEDED")


def test_one_that_no_agent_ever_starts_says_so_and_lies_with_the_dead() -> None:
    dispatcher = a_dispatcher()
    task_id = put(dispatcher, "task", retry={"max_attempts": 2})
    dispatcher.advance(400)
    assert dispatcher.status(task_id) == "DEAD_LETTERED"
    assert stored(dispatcher, task_id)["epoch"] == 2
    assert error_type(dispatcher, task_id) == "NeverStarted"
    assert_idle(dispatcher)
    with pytest.raises(LookupError):
        dispatcher.take("one")


@pytest.mark.parametrize("word", ["succeed", "fail", "give_way", "suspend"])
def test_an_agent_that_finished_while_the_results_queue_was_an_hour_behind_is_not_run_again(word: str) -> None:
    """Its own item says that it is finished: the wake-up at the end of its lease takes that, and no nudge is needed."""
    dispatcher = a_dispatcher()
    put(dispatcher, "task", retry={"max_attempts": 1})
    attempt = dispatcher.take("one", heartbeat=True)
    dispatcher.advance(20)
    if word == "suspend":
        attempt.suspend({"page": 1}, awaits="approval")
    else:
        getattr(attempt, word)()
    late = dispatcher.sender.drain("queue/results")
    dispatcher.advance_with_sweeps(60)
    before = stored(dispatcher, attempt.task_id)
    if word != "give_way":  # which was pushed again, and nobody has started it
        ended = {"succeed": "SUCCEEDED", "fail": "DEAD_LETTERED", "suspend": "SUSPENDED"}[word]
        assert (before["status"], before["epoch"]) == (ended, 1)
    dispatcher.sender.send("queue/results", late)
    dispatcher.run_until_idle()
    assert stored(dispatcher, attempt.task_id) == before
    started = [fact.data.epoch for fact in dispatcher.facts_of(FactName.TASK_STARTED, attempt.task_id)]
    assert started == [1]


def test_a_success_whose_nudge_comes_an_hour_late_is_known_within_a_minute() -> None:
    dispatcher = a_dispatcher()
    put(dispatcher, "task")
    attempt = dispatcher.take("one", heartbeat=True)
    dispatcher.advance(5)
    attempt.succeed({"done": True}, nudge=False)
    dispatcher.advance_with_sweeps(1)
    assert_over(dispatcher, attempt.task_id, "SUCCEEDED")
    assert dispatcher.facts_of(FactName.RESULT_STALE) == []


@pytest.mark.parametrize("moment", ["before", "after"])
def test_whichever_call_fails_a_silent_attempt_is_tried_again_once(moment: str) -> None:
    for number in range(1, 60):
        faults = FailAt(number, moment)
        dispatcher = a_dispatcher(faults=faults)
        put(dispatcher, "task")
        attempt = dispatcher.take("one", lease_ms=20_000)
        faults.armed = True
        dispatcher.advance(40)
        reached, faults.armed = faults.calls >= number, False
        dispatcher.advance_with_sweeps(1)
        again = dispatcher.take("one")
        assert (again.task_id, again.dispatch.epoch) == (attempt.task_id, 2)
        assert dispatcher.used("one") == 1
        again.succeed()
        dispatcher.run_until_idle()
        assert_over(dispatcher, attempt.task_id, "SUCCEEDED")
        assert_idle(dispatcher)
        if not reached:
            assert number > 10
            return
    raise AssertionError("it takes more than 60 calls")


@pytest.mark.parametrize("news", [{"checkpoint": '{"page":7}'}, {"children": ["t-child"]}], ids=["checkpoint", "child"])
def test_what_an_attempt_stores_while_it_is_given_up_is_not_lost(news: dict[str, Any]) -> None:
    """A clock that stands still moves no lease, and a child never does: the lease alone would not tell."""
    beside = Beside(lambda operations: any(one.key.table is Table.ATTEMPTS for one in operations))
    dispatcher = a_dispatcher(faults=beside)
    put(dispatcher, "task")
    attempt = dispatcher.take("one", lease_ms=20_000)
    attempt.check_in(checkpoint={"page": 6})
    key = keys.attempt_key(DEFAULT_POOL, attempt.task_id)
    beside.early = lambda: dispatcher.store.write(Update(key, set=news))
    dispatcher.advance(40)
    assert beside.over
    again = dispatcher.take("one")
    page = 7 if "checkpoint" in news else 6
    assert (again.dispatch.epoch, again.dispatch.checkpoint) == (2, {"page": page})
    assert ("children" in stored(dispatcher, attempt.task_id)) == ("children" in news)
