"""An attempt that holds nothing ends, dies, is cancelled or told something: nothing is released twice."""

import msgspec
import pytest

from pushlane.model.attempt import ErrorDetail
from pushlane.model.commands import SignalTaskData
from pushlane.model.events import FactName
from pushlane.router.cancel import cancel
from pushlane.router.signals import deliver
from tests.unit.router.by_hand import running, stored
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


def test_an_agent_that_dies_while_it_waits_is_noticed_and_releases_nothing_twice() -> None:
    dispatcher = a_dispatcher()
    attempt = waiting(dispatcher)
    dispatcher.advance(100)
    assert counters(dispatcher) == (1, 1, 1)  # of the next attempt
    dispatcher.take("one").succeed()
    settled(dispatcher)
    assert stored(dispatcher, attempt.task_id)["epoch"] == 2


def test_an_agent_that_dies_while_it_asks_leaves_its_lane() -> None:
    dispatcher = a_dispatcher()
    first, second = asking(dispatcher)
    dispatcher.advance(100)
    assert (dispatcher.status(first.task_id), counters(dispatcher)) == ("PARKED", (1, 1, 1))
    assert len(entries(dispatcher)) == dispatcher.waiting() == 1
    second.succeed()
    dispatcher.run_until_idle()
    dispatcher.take("one").succeed()
    settled(dispatcher)


def test_an_agent_that_dies_once_it_was_granted_is_noticed_like_any_other() -> None:
    dispatcher = a_dispatcher()
    attempt = waiting(dispatcher)
    attempt.end_wait()
    dispatcher.run_until_idle()
    dispatcher.advance(100)
    assert counters(dispatcher) == (1, 1, 1)
    dispatcher.take("one").succeed()
    settled(dispatcher)


@pytest.mark.parametrize("asks", [False, True])
@pytest.mark.parametrize("nudge", ["told", "unhinted", "lost"])
@pytest.mark.parametrize("end", ["succeed", "fail", "give_way", "suspend", "stop_as_told"])
def test_an_attempt_may_end_while_it_holds_nothing(end: str, nudge: str, asks: bool) -> None:
    dispatcher = a_dispatcher()
    first = waiting(dispatcher)
    second = running(dispatcher, "second")
    if asks:
        first.end_wait()
        dispatcher.run_until_idle()
        assert dispatcher.waiting() == 1
    said = {"error": ErrorDetail(error_type="X", message="x", retryable=False)} if end == "fail" else {}
    getattr(first, end)(**said, nudge=nudge != "lost")
    if nudge == "unhinted":  # as an older agent sends it
        [word] = dispatcher.sender.drain(_RESULTS)
        body = {k: v for k, v in msgspec.json.decode(word.body).items() if k != "waits"}
        dispatcher.sender.send(_RESULTS, [msgspec.structs.replace(word, body=msgspec.json.encode(body).decode())])
    dispatcher.run_until_idle()
    dispatcher.sweep()
    dispatcher.run_until_idle()
    after = {"succeed": "SUCCEEDED", "fail": "FAILED", "give_way": "PARKED", "suspend": "SUSPENDED"}
    assert dispatcher.status(first.task_id) == after.get(end, "CANCELLED")
    assert counters(dispatcher) == (1, 1, 1)
    assert dispatcher.facts_of(FactName.RESULT_STALE) == []
    second.succeed()
    dispatcher.run_until_idle()
    if end == "give_way":
        dispatcher.take("one").succeed()
    settled(dispatcher)


def test_an_old_word_of_an_end_cannot_release_what_was_granted_later() -> None:
    """The nudge carries the token of the first reservation; what is released is the second."""
    dispatcher = a_dispatcher()
    attempt = waiting(dispatcher)
    no_limits(dispatcher)
    attempt.end_wait()
    dispatcher.run_until_idle()
    attempt.succeed()
    [word] = dispatcher.sender.drain(_RESULTS)
    body = {k: v for k, v in msgspec.json.decode(word.body).items() if k != "waits"}
    dispatcher.sender.send(_RESULTS, [msgspec.structs.replace(word, body=msgspec.json.encode(body).decode())])
    settled(dispatcher)
    assert dispatcher.status(attempt.task_id) == "SUCCEEDED"


@pytest.mark.parametrize("asks", [False, True])
def test_cancelling_one_that_holds_nothing(asks: bool) -> None:
    dispatcher = a_dispatcher()
    first, second = asking(dispatcher) if asks else (waiting(dispatcher), running(dispatcher, "second"))
    assert cancel(dispatcher.turn, dispatcher.pusher, "atlas", first.task_id, "enough") == "ordered"
    assert first.check_in().value == "cancel"
    dispatcher.advance(30)  # it does not care
    assert dispatcher.status(first.task_id) == "CANCELLED"
    assert (counters(dispatcher), entries(dispatcher)) == ((1, 1, 1), [])
    second.succeed()
    settled(dispatcher)


@pytest.mark.parametrize("asks", [False, True])
def test_a_signal_reaches_one_that_holds_nothing(asks: bool) -> None:
    dispatcher = a_dispatcher()
    first, _ = asking(dispatcher) if asks else (waiting(dispatcher), running(dispatcher, "second"))
    said = SignalTaskData(tenant_id="atlas", task_id=first.task_id, name="hello", data={"to": "you"})
    deliver(dispatcher.turn, dispatcher.pusher, said, "s-1")
    first.check_in()
    assert [one.name for one in first.orders.new_signals] == ["hello"]
