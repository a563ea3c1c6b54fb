"""Agents that start nothing of what is pushed to them, and what becomes of them and of the tasks."""

import pytest

from pushlane.model.agent import AgentStatus
from pushlane.router.cancel import cancel
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.deliveries import agent_queue
from tests.unit.router.beating_agents import agent_item, broken, echo, registered, status, told
from tests.unit.router.by_hand import put, running, stored


def test_an_agent_that_starts_nothing_is_taken_out_and_eats_no_more_tries() -> None:
    dispatcher = broken()
    tasks = [put(dispatcher, f"k{number}", retry={"max_attempts": 10}) for number in range(6)]
    dispatcher.advance(3 * 90 + 5)
    assert (status(dispatcher, "one"), told(dispatcher)) == ("UNAVAILABLE", [("down", "one")])
    assert dispatcher.used("one") == 0
    assert sum(int(str(stored(dispatcher, task_id)["epoch"])) for task_id in tasks) == 3


def test_after_a_while_it_gets_one_task_and_when_that_does_not_start_either_it_is_out_again() -> None:
    dispatcher = broken(slots=4)
    tasks = [put(dispatcher, f"k{number}", retry={"max_attempts": 10}) for number in range(6)]
    dispatcher.advance(95)
    assert (status(dispatcher, "one"), told(dispatcher)) == ("UNAVAILABLE", [("down", "one")])
    epochs = sum(int(str(stored(dispatcher, task_id)["epoch"])) for task_id in tasks)
    dispatcher.advance(60)
    dispatcher.sweep()
    dispatcher.run_until_idle()
    assert (status(dispatcher, "one"), dispatcher.used("one")) == ("ACTIVE", 1)
    dispatcher.advance(95)
    assert (status(dispatcher, "one"), dispatcher.used("one")) == ("UNAVAILABLE", 0)
    assert sum(int(str(stored(dispatcher, task_id)["epoch"])) for task_id in tasks) == epochs + 1
    assert told(dispatcher) == [("down", "one"), ("up", "one"), ("down", "one")]


@pytest.mark.parametrize("ends", [False, True])
def test_one_that_has_started_a_task_again_is_an_agent_like_any_other(ends: bool) -> None:
    dispatcher = broken(slots=4)
    for number in range(6):
        put(dispatcher, f"k{number}", retry={"max_attempts": 10})
    dispatcher.advance(95 + 60)
    dispatcher.sender.drain(agent_queue("one"), limit=100)  # what it had failed to start
    dispatcher.sweep()
    attempt = dispatcher.take("one")
    if ends:
        attempt.succeed()
        dispatcher.run_until_idle()
    else:
        dispatcher.sweep()
    assert agent_item(dispatcher, "one").unstarted == 0
    dispatcher.run_until_idle()
    assert dispatcher.used("one") == 4


def test_attempts_that_do_not_start_now_and_then_are_no_broken_agent() -> None:
    dispatcher = broken()
    for number in range(4):
        put(dispatcher, f"lost{number}", retry={"max_attempts": 1})
        dispatcher.advance(95)
        dispatcher.sender.drain(agent_queue("one"), limit=100)
        running(dispatcher, f"fine{number}").succeed()
        dispatcher.run_until_idle()
    assert (status(dispatcher, "one"), told(dispatcher), agent_item(dispatcher, "one").unstarted) == ("ACTIVE", [], 0)


def test_a_new_registration_is_a_new_beginning() -> None:
    dispatcher = broken()
    for number in range(3):
        put(dispatcher, f"k{number}", retry={"max_attempts": 10})
    dispatcher.advance(3 * 90 + 5)
    registered(dispatcher, "one", heartbeat_seconds=None)
    found = agent_item(dispatcher, "one")
    assert (found.status, found.unstarted, found.cools_until_ms) == (AgentStatus.ACTIVE, 0, None)


def test_a_task_that_no_agent_starts_comes_to_rest() -> None:
    dispatcher = broken()
    task_id = put(dispatcher, "poison")
    dispatcher.advance_with_sweeps(12)
    assert dispatcher.status(task_id) == "DEAD_LETTERED"


def test_what_is_cancelled_before_it_starts_says_nothing_about_its_agent() -> None:
    dispatcher = InMemoryDispatcher(tenants=("atlas",))
    dispatcher.register(echo, agent_id="one", slots=1)
    for number in range(4):
        task_id = dispatcher.submit(idempotency_key=f"k{number}")
        dispatcher._deliver_intake()
        cancel(dispatcher.turn, dispatcher.pusher, "atlas", task_id, "no")
    dispatcher.run_until_idle()
    assert (status(dispatcher, "one"), agent_item(dispatcher, "one").unstarted) == ("ACTIVE", 0)
