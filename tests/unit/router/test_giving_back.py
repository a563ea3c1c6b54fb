"""`ctx.waiting()`, seen from the router: slot and resources go back while an attempt waits, and are granted again."""

import msgspec
import pytest

from pushlane.model.attempt import Usage
from pushlane.model.events import FactName
from tests.unit.router.by_hand import a_dispatcher as a_plain_dispatcher
from tests.unit.router.by_hand import account, orders, put, running
from tests.unit.router.waiting_attempts import (
    _RESULTS,
    a_dispatcher,
    asking,
    counters,
    day_tokens,
    entries,
    settled,
    waiting,
)


def test_what_a_waiting_attempt_held_goes_to_the_next_task_in_the_same_commit() -> None:
    dispatcher = a_dispatcher()
    put(dispatcher, "first")
    second = put(dispatcher, "second")
    attempt = dispatcher.take("one")
    assert counters(dispatcher) == (1, 1, 1)
    attempt.begin_wait()
    dispatcher.run_until_idle()
    assert dispatcher.statuses(attempt.task_id, second) == ["WAITING", "DISPATCHED"]
    assert counters(dispatcher) == (1, 1, 1)
    assert dispatcher.sweep().repaired == 0


def test_one_that_comes_back_is_granted_what_is_free_at_once_and_is_not_pushed() -> None:
    dispatcher = a_dispatcher()
    attempt = waiting(dispatcher)
    assert counters(dispatcher) == (0, 0, 0)
    assert attempt.end_wait()
    dispatcher.run_until_idle()
    assert attempt.is_granted()
    assert (dispatcher.status(attempt.task_id), counters(dispatcher)) == ("DISPATCHED", (1, 1, 1))
    with pytest.raises(LookupError):
        dispatcher.take("one")
    attempt.succeed({"said": 1})
    settled(dispatcher)
    assert dispatcher.result(attempt.task_id) == {"said": 1}
    assert dispatcher.facts_of(FactName.RESULT_STALE) == []


def test_one_that_comes_back_waits_in_a_lane_of_its_own_until_there_is_room() -> None:
    dispatcher = a_dispatcher()
    first, second = asking(dispatcher)
    assert not first.is_granted()
    assert (dispatcher.status(first.task_id), dispatcher.waiting()) == ("WAITING", 1)
    assert counters(dispatcher) == (1, 1, 1)
    second.succeed()
    dispatcher.run_until_idle()
    assert first.is_granted()
    assert (dispatcher.status(first.task_id), dispatcher.waiting(), entries(dispatcher)) == ("DISPATCHED", 0, [])
    assert counters(dispatcher) == (1, 1, 1)
    first.succeed()
    settled(dispatcher)


def test_only_the_agent_in_whose_process_it_runs_is_granted_to_it() -> None:
    dispatcher = a_dispatcher()
    first, _ = asking(dispatcher)
    dispatcher.register(None, agent_id="two", slots=5, capabilities=("echo",))
    dispatcher.sweep()
    dispatcher.run_until_idle()
    assert not first.is_granted()
    assert dispatcher.used("two") == 0


def test_an_attempt_may_wait_again_and_again() -> None:
    dispatcher = a_dispatcher()
    attempt = waiting(dispatcher)
    for number in (1, 2, 3):
        assert attempt.end_wait(number)
        dispatcher.run_until_idle()
        assert attempt.is_granted(number)
        assert counters(dispatcher) == (1, 1, 1)
        attempt.begin_wait(number + 1)
        dispatcher.run_until_idle()
        assert counters(dispatcher) == (0, 0, 0)
    attempt.give_way({"at": 3})
    settled_at = dispatcher.status(attempt.task_id)
    dispatcher.run_until_idle()
    dispatcher.take("one").succeed()
    settled(dispatcher)
    assert settled_at == "WAITING"
    assert [len(dispatcher.facts_of(name)) for name in (FactName.TASK_WAITING, FactName.TASK_SUCCEEDED)] == [4, 1]


def test_a_wait_that_was_over_before_the_router_heard_of_it_gives_nothing_back() -> None:
    dispatcher = a_dispatcher()
    attempt = running(dispatcher, "first")
    attempt.begin_wait(tell=False)
    assert not attempt.end_wait()
    attempt.begin_wait(2)
    attempt.check_in(waiting=False)
    dispatcher.run_until_idle()
    assert (dispatcher.status(attempt.task_id), counters(dispatcher)) == ("DISPATCHED", (1, 1, 1))
    attempt.succeed()
    settled(dispatcher)


def test_words_that_come_twice_and_late_change_nothing() -> None:
    dispatcher = a_dispatcher()
    attempt = running(dispatcher, "first")
    attempt.begin_wait()
    [waits] = dispatcher.sender.drain(_RESULTS)
    dispatcher.sender.send(_RESULTS, [waits, waits])
    dispatcher.run_until_idle()
    assert counters(dispatcher) == (0, 0, 0)
    assert attempt.end_wait()
    [back] = dispatcher.sender.drain(_RESULTS)
    dispatcher.sender.send(_RESULTS, [waits, back, back])
    dispatcher.run_until_idle()
    assert counters(dispatcher) == (1, 1, 1)
    dispatcher.sender.send(_RESULTS, [waits, back])
    dispatcher.run_until_idle()
    assert counters(dispatcher) == (1, 1, 1)
    attempt.succeed()
    settled(dispatcher)
    dispatcher.sender.send(_RESULTS, [waits, back])
    settled(dispatcher)


def test_a_forged_word_is_dropped() -> None:
    dispatcher = a_dispatcher()
    attempt = running(dispatcher, "first")
    attempt.check_in(waits=1, waiting=True)
    attempt.begin_wait()
    [waits] = dispatcher.sender.drain(_RESULTS)
    said = msgspec.json.decode(waits.body)
    for forged in ({**said, "runner": "call-x"}, {**said, "token": "a.b"}, {**said, "number": 7}):
        dispatcher.sender.send(_RESULTS, [msgspec.structs.replace(waits, body=msgspec.json.encode(forged).decode())])
    dispatcher.run_until_idle()
    assert (dispatcher.status(attempt.task_id), counters(dispatcher)) == ("DISPATCHED", (1, 1, 1))


def test_nobody_asks_one_that_holds_nothing_to_yield() -> None:
    dispatcher = a_dispatcher(slots=2)
    idle = waiting(dispatcher)
    busy = [running(dispatcher, key) for key in ("second", "third")]
    put(dispatcher, "urgent", tier="critical")
    [victim] = orders(dispatcher)
    assert victim in {one.task_id for one in busy}
    assert victim != idle.task_id


def test_one_that_is_asked_to_yield_and_waits_instead_has_yielded_enough() -> None:
    dispatcher = a_dispatcher()
    attempt = running(dispatcher, "first")
    urgent = put(dispatcher, "urgent", tier="critical")
    assert orders(dispatcher) == {attempt.task_id: urgent}
    attempt.begin_wait()
    dispatcher.run_until_idle()
    assert (orders(dispatcher), dispatcher.status(urgent)) == ({}, "DISPATCHED")
    assert attempt.check_in().value == "continue"


def test_usage_is_trued_up_part_by_part_and_counts_once() -> None:
    dispatcher = a_plain_dispatcher(1)
    dispatcher.set_policy(tenants={"atlas": {"tokens_per_day": {"hard": 1_000_000}}})
    attempt = running(dispatcher, "first", estimate={"runtime_seconds": 100, "tokens": 1_000})
    dispatcher.advance(30)
    attempt.begin_wait(usage=Usage(tokens=400))
    dispatcher.run_until_idle()
    assert day_tokens(dispatcher) == 400
    dispatcher.advance(300)
    attempt.end_wait()
    dispatcher.run_until_idle()
    assert day_tokens(dispatcher) == 1_000  # the rest of the estimate is reserved again
    dispatcher.advance(20)
    attempt.succeed(usage=Usage(tokens=1_300))
    dispatcher.run_until_idle()
    assert day_tokens(dispatcher) == 1_300
    assert (account(dispatcher, "atlas").uncharged_ms, account(dispatcher, "atlas").charged_ms) == (0, 0)


def test_one_whose_usage_is_not_reported_counts_as_estimated() -> None:
    dispatcher = a_plain_dispatcher(1)
    dispatcher.set_policy(tenants={"atlas": {"tokens_per_day": {"hard": 1_000_000}}})
    attempt = running(dispatcher, "first", estimate={"runtime_seconds": 100, "tokens": 1_000})
    attempt.begin_wait()
    dispatcher.run_until_idle()
    assert day_tokens(dispatcher) == 0
    attempt.end_wait()
    dispatcher.run_until_idle()
    attempt.succeed()
    dispatcher.run_until_idle()
    assert day_tokens(dispatcher) == 1_000
