"""A dispatcher that traces, and submissions that reach its router as late as through real channels."""

import json
from collections.abc import Mapping
from typing import Any

from pushlane.agent import TaskContext, agent
from pushlane.agent.definition import AgentDefinition
from pushlane.inmemory import InMemorySpans
from pushlane.model.ids import keyed_task_id
from pushlane.model.span import Span
from pushlane.model.task import Door
from pushlane.ports import Tracing
from pushlane.testing import InMemoryDispatcher, kinesis_event, sqs_event, submit_envelope

TRACE, PRODUCER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GIVEN = f"00-{TRACE}-{PRODUCER}-01"
AFTER_DOOR_MS, IN_QUEUE_MS, IN_AGENTS_QUEUE_MS, RUN_MS, IN_RESULTS_MS = 40, 15, 25, 700, 30
RUN = ["push", "queue dispatch", "run", "queue results"]


class World:
    """A dispatcher that traces, and an agent that takes its time."""

    def __init__(self, ratio: float = 1.0, *, headers: bool = False, slots: int = 4) -> None:
        self.spans = InMemorySpans()
        tracing = Tracing(exporter=self.spans, ratio=ratio, headers=headers)
        self.dispatcher = InMemoryDispatcher(tracing=tracing)
        self.clock = self.dispatcher.clock
        self.seen: list[str | None] = []
        self.dispatcher.register(self.agent(), agent_id="one", slots=slots)

    def agent(self) -> AgentDefinition:
        @agent(task_types=("echo",))
        def echo(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
            self.seen.append(ctx.traceparent)
            with ctx.span("work"):
                self.clock.advance(RUN_MS)
            if payload.get("fails", 0) >= ctx.attempt:
                raise ValueError("not yet")
            return {"said": payload.get("say")}

        return echo

    def root(self, task_id: str) -> Span:
        (found,) = {one.span_id: one for one in self.of(task_id) if one.name.startswith("task ")}.values()
        return found

    def of(self, task_id: str) -> list[Span]:
        return [one for one in self.spans.by_id.values() if one.attributes.get("task_id") == task_id]

    def run(self) -> None:
        """Every queue keeps what lies in it for a while."""
        self.clock.advance(IN_AGENTS_QUEUE_MS)
        self.dispatcher.run_until_idle()


def through(world: World, door: Door, **more: Any) -> str:
    """Bring a submission to the router as the door's channel does, and as late; returns the task's id."""
    clock = world.clock
    data = {"tenant_id": "atlas", "task_type": "echo", "payload": {}, "idempotency_key": f"key-{door}", **more}
    envelope = submit_envelope(**data)
    envelope["metadata"] |= {"submitted_at_ms": clock.now_ms(), "traceparent": GIVEN}
    clock.advance(AFTER_DOOR_MS)
    sent_ms = clock.now_ms()
    clock.advance(IN_QUEUE_MS)
    if door is Door.KINESIS:
        event = kinesis_event("arn:stream/intake", [("1", envelope)], sent_ms)
    else:
        event = sqs_event("arn:intake", [("m-1", _body(door, envelope))], {"SentTimestamp": str(sent_ms)})
    world.dispatcher.router.handle(event)
    return keyed_task_id("atlas", str(data["idempotency_key"]))


def _body(door: Door, envelope: dict[str, Any]) -> str:
    if door is Door.EVENTBRIDGE:
        return json.dumps({"id": "e-1", "detail-type": "SubmitTask", "detail": envelope})
    if door is Door.SNS:
        return json.dumps({"Type": "Notification", "MessageId": "n-1", "Message": json.dumps(envelope)})
    return json.dumps(envelope)
