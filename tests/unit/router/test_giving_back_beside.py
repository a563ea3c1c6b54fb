"""What happens beside a turn that is about an attempt which waits, and what is lost on the way."""

import pytest

from pushlane.model.events import Back, Waits
from pushlane.model.task import DEFAULT_POOL
from pushlane.ports import Delete, Message, Update
from pushlane.state import keys
from pushlane.state.items import to_json
from pushlane.testing.events import sqs_event
from tests.unit.router.by_hand import put, running, stored
from tests.unit.router.faults import Beside
from tests.unit.router.waiting_attempts import (
    _RESULTS,
    a_dispatcher,
    asking,
    counters,
    entries,
    no_limits,
    settled,
    waiting,
)


@pytest.mark.parametrize("gone", [False, True])
def test_one_whose_agent_takes_nothing_more_is_asked_to_yield_and_goes_on_elsewhere(gone: bool) -> None:
    dispatcher = a_dispatcher()
    attempt = waiting(dispatcher)
    key = keys.agent_key(DEFAULT_POOL, "one")
    dispatcher.register(None, agent_id="two", capabilities=("echo",))
    dispatcher.store.write(Delete(key) if gone else Update(key, set={"status": "DRAINING"}))
    attempt.end_wait()
    dispatcher.run_until_idle()
    assert attempt.check_in().value == "preempt"
    attempt.give_way({"at": 1})
    dispatcher.run_until_idle()
    again = dispatcher.take("two")
    assert (again.task_id, again.dispatch.checkpoint) == (attempt.task_id, {"at": 1})
    again.succeed()
    dispatcher.run_until_idle()
    assert dispatcher.status(attempt.task_id) == "SUCCEEDED"
    assert (dispatcher.used("two"), entries(dispatcher)) == (0, [])


def test_a_wait_that_ends_while_the_router_gives_back_gives_nothing_back() -> None:
    beside = Beside(lambda operations: any("gave_back" in one.set for one in operations if isinstance(one, Update)))
    dispatcher = a_dispatcher(faults=beside)
    attempt = running(dispatcher, "first")
    attempt.begin_wait()
    gave: list[bool] = []
    beside.early = lambda: gave.append(attempt.end_wait())
    dispatcher.run_until_idle()
    assert (gave, counters(dispatcher), dispatcher.status(attempt.task_id)) == ([False], (1, 1, 1), "DISPATCHED")
    attempt.succeed()
    settled(dispatcher)


def test_one_that_asks_while_its_lease_is_found_over_leaves_nothing_in_a_lane() -> None:
    beside = Beside(lambda operations: any(isinstance(one, Delete) for one in operations))
    dispatcher = a_dispatcher(faults=beside)
    first, second = waiting(dispatcher), running(dispatcher, "second")
    first.end_wait(tell=False)
    dispatcher.clock.advance(100_000)
    word = Message(to_json(Back(token=first.dispatch.token, runner=first.runner, number=1)))
    beside.early = lambda: dispatcher.new_router().handle(sqs_event(_RESULTS, [("m-1", word.body)]))
    dispatcher.run_until_idle()
    assert beside.over
    dispatcher.sweep()
    dispatcher.run_until_idle()
    assert stored(dispatcher, first.task_id)["epoch"] == 1
    assert (dispatcher.status(first.task_id), counters(dispatcher)) == ("RETRYING", (1, 1, 1))
    assert (entries(dispatcher), dispatcher.waiting()) == ([], 0)
    second.succeed()
    dispatcher.run_until_idle()


def test_a_lease_that_is_found_over_releases_the_reservation_that_is_held_then() -> None:
    """The same lease, the same status, and another reservation: it gave back and was granted in between."""
    beside = Beside(lambda operations: any(isinstance(one, Delete) for one in operations))
    dispatcher = a_dispatcher(faults=beside)
    ends_at_ms = dispatcher.clock.now_ms() + 50_000
    attempt = running(
        dispatcher, "first", deadline_ms=ends_at_ms, deadline_kind="hard", estimate={"runtime_seconds": 20}
    )
    dispatcher.clock.advance(50_001)

    def waits_once() -> None:
        no_limits(dispatcher)
        attempt.begin_wait(tell=False)
        for word in (Waits, Back):
            body = to_json(word(token=attempt.dispatch.token, runner=attempt.runner, number=1))
            dispatcher.new_router().handle(sqs_event(_RESULTS, [("m-1", body)]))
            attempt.check_in(waiting=False)
        assert attempt.orders.granted == 1

    beside.early = waits_once
    dispatcher.run_until_idle()
    assert beside.over
    dispatcher.sweep()
    settled(dispatcher)
    assert dispatcher.status(attempt.task_id) == "EXPIRED"


def test_one_that_ended_while_it_asks_keeps_nobody_from_the_slot_that_comes_free() -> None:
    dispatcher = a_dispatcher()
    first, second = asking(dispatcher)
    third = put(dispatcher, "third")
    first.succeed(nudge=False)
    second.succeed()
    dispatcher.run_until_idle()
    assert dispatcher.statuses(first.task_id, third) == ["WAITING", "DISPATCHED"]
    dispatcher.sweep()
    assert dispatcher.status(first.task_id) == "SUCCEEDED"
    dispatcher.take("one").succeed()
    settled(dispatcher)


def test_one_whose_word_was_lost_asks_with_the_next_sweep() -> None:
    dispatcher = a_dispatcher()
    attempt = waiting(dispatcher)
    assert attempt.end_wait(tell=False)
    dispatcher.sweep()
    assert attempt.is_granted()
    attempt.succeed()
    settled(dispatcher)


def test_one_that_asks_an_agent_which_has_gone_meanwhile_is_told_with_the_next_sweep() -> None:
    dispatcher = a_dispatcher()
    first, _ = asking(dispatcher)
    dispatcher.store.write(Update(keys.agent_key(DEFAULT_POOL, "one"), set={"status": "DRAINING"}))
    dispatcher.sweep()
    assert first.check_in().value == "preempt"
    first.give_way()
    dispatcher.run_until_idle()
    assert (dispatcher.status(first.task_id), len(entries(dispatcher))) == ("PARKED", 1)
