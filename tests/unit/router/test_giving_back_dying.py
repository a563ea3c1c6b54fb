"""Dying between the steps of a wait, whichever call it is: each task ends once, and the counters stay what is held."""

from collections.abc import Callable

import pytest

from pushlane.model.events import FactName
from pushlane.testing import AttemptByHand, InMemoryDispatcher
from tests.unit.router.by_hand import put
from tests.unit.router.faults import FailAt
from tests.unit.router.waiting_attempts import a_dispatcher, counters, entries

pytestmark = pytest.mark.long

Step = Callable[[InMemoryDispatcher, AttemptByHand], object]


def give_back(dispatcher: InMemoryDispatcher, attempt: AttemptByHand) -> None:
    attempt.begin_wait()


def ask(dispatcher: InMemoryDispatcher, attempt: AttemptByHand) -> None:
    attempt.begin_wait()
    dispatcher.run_until_idle()
    attempt.end_wait()


def end_while_asking(dispatcher: InMemoryDispatcher, attempt: AttemptByHand) -> None:
    ask(dispatcher, attempt)
    dispatcher.run_until_idle()
    attempt.give_way({"at": 1})


def end_after_a_grant(dispatcher: InMemoryDispatcher, attempt: AttemptByHand) -> None:
    ask(dispatcher, attempt)
    dispatcher.run_until_idle()
    dispatcher.take("one").succeed()
    dispatcher.run_until_idle()
    assert attempt.is_granted()
    attempt.succeed()


def die_while_asking(dispatcher: InMemoryDispatcher, attempt: AttemptByHand) -> None:
    ask(dispatcher, attempt)
    dispatcher.run_until_idle()
    dispatcher.clock.advance(80_000)


def world(faults: FailAt, step: Step) -> InMemoryDispatcher:
    """Two tasks and one slot. What the router does after the step may fail; the agents' own calls do not."""
    dispatcher = a_dispatcher(faults=faults)
    put(dispatcher, "first")
    put(dispatcher, "second", retry={"max_attempts": 9})
    attempt = dispatcher.take("one", lease_ms=30_000)
    step(dispatcher, attempt)
    faults.armed = True
    dispatcher.run_until_idle()
    faults.armed = False
    return dispatcher


def finish(dispatcher: InMemoryDispatcher) -> None:
    for _ in range(12):
        dispatcher.advance_with_sweeps(1)
        try:
            dispatcher.take("one").succeed()
        except LookupError:
            continue
    dispatcher.run_until_idle()


STEPS: dict[str, Step] = {
    one.__name__: one for one in (give_back, ask, end_while_asking, end_after_a_grant, die_while_asking)
}


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_whichever_call_fails_each_task_ends_once_and_nothing_stays_held(name: str, moment: str) -> None:
    unharmed = FailAt(None, "never")
    world(unharmed, STEPS[name])
    assert unharmed.calls > 5
    for number in range(1, unharmed.calls + 1):
        dispatcher = world(FailAt(number, moment), STEPS[name])
        finish(dispatcher)
        ended = [fact.data.task_id for fact in dispatcher.facts_of(FactName.TASK_SUCCEEDED)]
        where = f"{name}: call {number} of {unharmed.calls} failing {moment}"
        assert len(ended) == len(set(ended)) == 2, where
        assert (counters(dispatcher), dispatcher.live_attempts(), entries(dispatcher)) == ((0, 0, 0), [], []), where
        assert dispatcher.facts_of(FactName.CAPACITY_REPAIRED) == [], where
