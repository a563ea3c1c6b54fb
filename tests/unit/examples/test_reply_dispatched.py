"""The reply graph behind the real router: a person's signal, a more urgent letter, a dead attempt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from examples.agents.graph.handler import answering
from pushlane.ports import Message
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.deliveries import INTAKE


class Desk:
    """Writer and outbox in one; `at_reply` happens while a reply is written."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.sent: list[str] = []
        self.at_reply: dict[str, Callable[[], Any]] = {}

    def reply(self, letter: str, kind: str, comments: list[str]) -> str:
        self.written.append(letter)
        self.at_reply.pop(letter, lambda: None)()
        return f"Re: {letter}"

    def send(self, key: str, text: str) -> str:
        self.sent.append(text)
        return key


def a_dispatcher(desk: Desk) -> InMemoryDispatcher:
    dispatcher = InMemoryDispatcher()
    dispatcher.register(answering(desk, desk), agent_id="one", slots=1)
    return dispatcher


def put(dispatcher: InMemoryDispatcher, letter: str, **more: Any) -> str:
    return dispatcher.submit(task_type="reply", payload={"letter": letter}, **more)


def say(dispatcher: InMemoryDispatcher, task_id: str, name: str, **data: Any) -> None:
    told = {"tenant_id": "atlas", "task_id": task_id, "name": name, "data": data}
    envelope = {"metadata": {"name": "SignalTask", "version": 1}, "data": told}
    dispatcher.sender.send(
        INTAKE, [Message(msgspec.json.encode({"id": f"signal-{name}", "envelope": envelope}).decode())]
    )
    dispatcher.run_until_idle()


def status(dispatcher: InMemoryDispatcher, task_id: str) -> Any:
    stored = dispatcher.task(task_id)
    assert stored is not None
    return stored["status"]


def test_a_letter_that_waits_for_a_person_holds_no_slot_and_goes_on_in_a_new_environment() -> None:
    desk = Desk()
    dispatcher = a_dispatcher(desk)
    refund = put(dispatcher, "refund please")
    dispatcher.run_until_idle()
    assert (status(dispatcher, refund), dispatcher.live_attempts()) == ("SUSPENDED", [])
    question = put(dispatcher, "when do you open?")
    dispatcher.run_until_idle()
    assert status(dispatcher, question) == "SUCCEEDED"
    dispatcher.advance(86_400)
    dispatcher.register(answering(desk, desk), agent_id="one", slots=1)
    say(dispatcher, refund, "another", approved=True)
    assert status(dispatcher, refund) == "SUSPENDED"
    say(dispatcher, refund, "review", approved=True)
    result: Any = dispatcher.result(refund)
    assert (result["reply"], result["sent_as"]) == ("Re: refund please", f"{refund}/reply")
    assert desk.written == ["refund please", "when do you open?"]


def test_a_critical_letter_is_answered_in_the_middle_of_another_which_goes_on_with_its_next_node() -> None:
    desk = Desk()
    dispatcher = a_dispatcher(desk)

    def urgent() -> None:
        put(dispatcher, "urgent", tier="critical")
        dispatcher.advance(1)

    desk.at_reply["slow"] = urgent
    slow = put(dispatcher, "slow")
    dispatcher.run_until_idle()
    assert desk.sent == ["Re: urgent", "Re: slow"]
    assert desk.written == ["slow", "urgent"]
    stored = dispatcher.task(slow)
    assert stored is not None
    assert (stored["status"], stored["epoch"]) == ("SUCCEEDED", 2)


def test_after_a_failure_only_the_node_that_failed_is_repeated() -> None:
    desk = Desk()
    dispatcher = a_dispatcher(desk)

    def fail() -> None:
        raise TimeoutError("the model took too long")

    desk.at_reply["hello"] = fail
    task_id = put(dispatcher, "hello")
    dispatcher.run_until_idle()
    dispatcher.advance(120)
    assert status(dispatcher, task_id) == "SUCCEEDED"
    assert (desk.written, desk.sent) == (["hello", "hello"], ["Re: hello"])
