"""The timeline of a task end to end, in memory: facts and emits in one log, whole and in order, over all attempts."""

from collections.abc import Mapping, Sequence
from typing import Any

from pushlane.agent import TaskContext, agent
from pushlane.client.event_log import EventLog
from pushlane.model.timeline import Origin
from pushlane.ports import Message
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.event_logs import EVENTS


@agent(task_types=("echo",))
def talkative(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    for number in range(payload.get("emits", 3)):
        ctx.emit("token", {"n": number})
    if ctx.attempt < payload.get("succeeds_at", 1):
        raise RuntimeError("not yet")
    return {}


def dispatcher_with(definition: Any) -> InMemoryDispatcher:
    dispatcher = InMemoryDispatcher()
    dispatcher.register(definition, agent_id="one", slots=2)
    return dispatcher


def test_facts_and_emits_are_one_gap_free_sequence_that_ends_with_the_task() -> None:
    dispatcher = dispatcher_with(talkative)
    task_id = dispatcher.submit(payload={"emits": 25})
    dispatcher.run_until_idle()
    log = dispatcher.event_logs.of(task_id)
    assert [event.sequence for event in log] == list(range(1, len(log) + 1))
    assert [event.data["n"] for event in log if event.origin is Origin.AGENT] == list(range(25))
    facts = [event.kind for event in log if event.origin is Origin.FACT]
    assert sorted(facts) == ["TaskAccepted", "TaskDispatched", "TaskStarted", "TaskSucceeded"]
    assert [event.ends for event in log] == [False] * (len(log) - 1) + [True]


def test_what_every_attempt_said_is_kept_under_its_number() -> None:
    dispatcher = dispatcher_with(talkative)
    task_id = dispatcher.submit(payload={"emits": 1, "succeeds_at": 2}, retry={"backoff_seconds": 1})
    dispatcher.advance(30)
    said = [event for event in dispatcher.event_logs.of(task_id) if event.origin is Origin.AGENT]
    assert [(event.epoch, event.stale) for event in said] == [(1, False), (2, False)]
    assert dispatcher.status(task_id) == "SUCCEEDED"


def test_messages_that_are_delivered_again_are_recorded_once() -> None:
    dispatcher = dispatcher_with(talkative)
    sent: list[Message] = []
    send = dispatcher.sender.send

    def remembered(queue_url: str, messages: Sequence[Message]) -> list[int]:
        sent.extend(messages if queue_url == EVENTS else ())
        return send(queue_url, messages)

    dispatcher.sender.send = remembered  # type: ignore[method-assign]  # to see what is sent
    task_id = dispatcher.submit()
    dispatcher.run_until_idle()
    before = dispatcher.event_logs.of(task_id)
    assert len(before) == len(sent) == 7
    send(EVENTS, sent[::-1])
    dispatcher.run_until_idle()
    assert dispatcher.event_logs.of(task_id) == before


def test_a_reader_follows_from_where_it_stopped() -> None:
    dispatcher = dispatcher_with(talkative)
    task_id = dispatcher.submit(payload={"emits": 250})
    dispatcher.run_until_idle()
    log = EventLog(dispatcher.store)
    assert [event.sequence for event in log.since(task_id, 3)] == list(range(4, 255))
    assert [event.sequence for event in log.since(task_id, 250)] == [251, 252, 253, 254]
    assert list(log.since("t-unknown")) == []
