"""The agent that README shows, in the public test kit."""

from examples.greeter.handler import greet
from pushlane.testing import InMemoryDispatcher


def test_it_greets() -> None:
    dispatcher = InMemoryDispatcher()
    dispatcher.register(greet, agent_id="greeter")
    task_id = dispatcher.submit(task_type="greet", payload={"name": "Ada"})
    dispatcher.run_until_idle()
    assert dispatcher.result(task_id) == {"greeting": "Hello, Ada!", "attempt": 1}


def test_without_a_name_it_fails_for_good() -> None:
    dispatcher = InMemoryDispatcher()
    dispatcher.register(greet, agent_id="greeter")
    task_id = dispatcher.submit(task_type="greet")
    dispatcher.run_until_idle()
    stored = dispatcher.task(task_id)
    assert stored is not None
    assert (stored["status"], stored["epoch"]) == ("FAILED", 1)
    assert "payload.name is missing" in str(stored["error"])
