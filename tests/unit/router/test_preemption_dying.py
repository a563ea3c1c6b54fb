"""Dying between the steps of a preemption: all tasks end once, nothing stays reserved, no order stays out."""

import msgspec
import pytest

from pushlane.model.attempt import Outcome, OutcomeKind
from pushlane.model.events import FactName
from pushlane.model.ids import keyed_task_id
from pushlane.testing import InMemoryDispatcher
from tests.unit.router.by_hand import a_dispatcher, put, running
from tests.unit.router.faults import FailAt

pytestmark = pytest.mark.long


def preempted(faults: FailAt) -> InMemoryDispatcher:
    """A victim with a backlog behind it yields for a waiter: each call of the router's may fail, the agent's do not."""
    dispatcher = a_dispatcher(faults=faults)
    victim = running(dispatcher, "victim")
    put(dispatcher, "behind")
    faults.armed = True
    put(dispatcher, "waiter", tenant_id="borea", tier="critical")
    faults.armed = False
    dispatcher.advance(3)
    victim.give_way({"page": 1})
    faults.armed = True
    dispatcher.run_until_idle()
    faults.armed = False
    return dispatcher


def drain_by_hand(dispatcher: InMemoryDispatcher) -> None:
    for _ in range(12):
        dispatcher.advance_with_sweeps(1)
        try:
            dispatcher.take("one").succeed()
        except LookupError:
            continue


def calls_of_the_preemption() -> int:
    faults = FailAt(None, "never")
    preempted(faults)
    return faults.calls


@pytest.mark.parametrize("moment", ["before", "after"])
def test_whichever_call_of_a_preemption_fails_all_three_tasks_end_once_and_no_order_stays(moment: str) -> None:
    calls = calls_of_the_preemption()
    assert calls > 15
    for number in range(1, calls + 1):
        dispatcher = preempted(FailAt(number, moment))
        drain_by_hand(dispatcher)
        ended = [fact.data.task_id for fact in dispatcher.facts_of(FactName.TASK_SUCCEEDED)]
        where = f"call {number} of {calls} failing {moment}"
        assert len(ended) == len(set(ended)) == 3, where
        assert (dispatcher.used("one"), dispatcher.live_attempts(), dispatcher.waiting()) == (0, [], 0), where
        victim = dispatcher.task(keyed_task_id("atlas", "victim"))
        assert victim is not None, where
        assert (victim["epoch"], victim["uncounted"], victim["checkpoint"]) == (2, 1, '{"page":1}'), where


@pytest.mark.parametrize("lost", [False, True])
def test_a_yield_whose_nudge_comes_twice_or_never_frees_one_slot(lost: bool) -> None:
    dispatcher = a_dispatcher()
    victim = running(dispatcher, "victim")
    waiter = put(dispatcher, "waiter", tier="critical")
    victim.give_way(nudge=not lost)
    if not lost:
        [nudge] = dispatcher.sender.drain("queue/results")
        dispatcher.sender.send("queue/results", [nudge, nudge])
        dispatcher.run_until_idle()
        dispatcher.sender.send("queue/results", [nudge])
    dispatcher.run_until_idle()
    dispatcher.sweep()
    assert dispatcher.statuses(victim.task_id, waiter) == ["PARKED", "DISPATCHED"]
    assert dispatcher.used("one") == len(dispatcher.live_attempts()) == 1
    assert dispatcher.facts_of(FactName.RESULT_STALE) == []


def test_the_outcome_of_a_yield_is_what_the_agent_said() -> None:
    dispatcher = a_dispatcher()
    victim = running(dispatcher, "victim")
    victim.give_way({"at": 3}, nudge=False)
    [attempt] = dispatcher.live_attempts()
    outcome = msgspec.json.decode(str(attempt.attributes["outcome"]), type=Outcome)
    assert (outcome.kind, outcome.checkpoint) == (OutcomeKind.YIELDED, {"at": 3})
