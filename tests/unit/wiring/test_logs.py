"""Log lines are JSON with the ids of tenant, task, attempt and trace; what a task is about never appears in one."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pushlane.agent import TaskContext, agent
from pushlane.agent.errors import Permanent
from pushlane.model.trace_context import trace_id_in
from pushlane.testing import InMemoryDispatcher, submit_envelope
from pushlane.testing.api import InMemoryApi
from pushlane.wiring.logs import ALLOWED, structured_log

SECRET = "open-sesame"
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
# What the logger itself says of a line.
OWN = {"level", "message", "timestamp", "service"}

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(capfd: pytest.CaptureFixture[str]) -> Lines:
    """What was written since the last time."""
    return lambda: [json.loads(line) for line in capfd.readouterr().out.splitlines() if line.startswith("{")]


def test_a_line_holds_only_what_is_allowed(lines: Lines) -> None:
    log = structured_log("test-allowed")
    log("attempt", task_id="t-1", tenant_id="atlas", epoch=2, trace_id="ab", payload={"say": SECRET}, result=SECRET)
    (line,) = lines()
    assert {name: line[name] for name in ("message", "task_id", "tenant_id", "epoch", "trace_id")} == {
        "message": "attempt",
        "task_id": "t-1",
        "tenant_id": "atlas",
        "epoch": 2,
        "trace_id": "ab",
    }
    assert line.keys() <= ALLOWED | OWN
    assert SECRET not in json.dumps(line)


def test_ids_are_allowed_and_nothing_that_can_hold_a_payload_is() -> None:
    assert {"tenant_id", "task_id", "epoch", "trace_id"} <= ALLOWED
    holders = {"payload", "result", "data", "checkpoint", "body", "message", "progress", "labels", "signal", "event"}
    assert not holders & ALLOWED


def busy_agent() -> Any:
    """Says its secret wherever an author can."""

    @agent(task_types=("echo",))
    def busy(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        ctx.log("half way", payload=payload, result=payload, page=payload)
        ctx.emit("said", payload)
        ctx.progress({"say": SECRET})
        if payload.get("fails"):
            raise (Permanent if payload["fails"] == "for good" else ValueError)(f"cannot do {payload}")
        if ctx.restored is None:
            ctx.checkpoint({"say": SECRET})
            ctx.wait_for_signal("go")
        return {"said": SECRET}

    return busy


def test_no_handler_writes_what_a_task_is_about(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that a producer, an author or a signal can say is secret here, the bad and the refused too."""
    monkeypatch.setenv("POWERTOOLS_LOG_LEVEL", "DEBUG")
    dispatcher = InMemoryDispatcher()
    log = structured_log("test-world")
    world = _rewired(dispatcher, log)
    world.register(busy_agent(), agent_id="one", slots=2)
    body = {"say": SECRET}
    waits = world.submit(payload=body, labels={"who": SECRET}, idempotency_key="k1")
    for fails in ("once", "for good"):
        world.submit(payload={**body, "fails": fails}, retry={"max_attempts": 2})
    for bad in ({"tier": SECRET}, {"payload": SECRET}, {"task_type": f"{SECRET} {SECRET}"}, {SECRET: 1}):
        world.send(submit_envelope(**bad))
    world.submit(payload={"another": SECRET}, idempotency_key="k1")
    world.advance(5)
    for signal in ({"name": "go", "data": {"say": SECRET}}, {"name": "go", SECRET: SECRET}):
        asked = {"tenant_id": "atlas", "task_id": waits, **signal}
        world.send({"metadata": {"name": "SignalTask", "version": 1}, "data": asked})
    world.advance(30)
    api = InMemoryApi(world)
    api.call("POST", "/v1/tasks", principal=api.producer(), body={"task_type": "echo", "payload": body})
    api.call("POST", "/v1/tasks", principal=api.producer(), body={"task_type": SECRET * 20, "payload": body})
    world.advance(30)
    said = lines()
    assert {"intake", "attempt", "facts", "rejected", "half way"} <= {one["message"] for one in said}
    for one in said:
        assert SECRET not in json.dumps(one), one["message"]


def test_lines_about_a_task_name_its_trace(lines: Lines) -> None:
    dispatcher = InMemoryDispatcher()
    world = _rewired(dispatcher, structured_log("test-ids"))
    world.register(busy_agent(), agent_id="one")
    envelope = submit_envelope(payload={"fails": "for good"}, idempotency_key="k")
    envelope["metadata"] |= {"traceparent": TRACEPARENT}
    world.send(envelope)
    world.run_until_idle()
    said = {one["message"]: one for one in lines()}
    for name in ("intake", "half way", "attempt"):
        assert said[name]["trace_id"] == trace_id_in(TRACEPARENT)
        assert said[name]["tenant_id"] == "atlas"
        assert said[name]["task_id"].startswith("t-")
    assert said["attempt"]["epoch"] == said["half way"]["epoch"] == 1


def _rewired(dispatcher: InMemoryDispatcher, log: Callable[..., None]) -> InMemoryDispatcher:
    """The dispatcher with the log that functions on Lambda have."""
    dispatcher.log = log  # type: ignore[method-assign] # a test's dispatcher keeps its lines instead
    dispatcher.event_logs = type(dispatcher.event_logs)(
        dispatcher.store, dispatcher.sender, dispatcher.clock, dispatcher.pusher._keyring, log
    )
    dispatcher.router = dispatcher.new_router(dispatcher.held)
    return dispatcher


def test_what_went_well_is_counted_at_level_debug_only(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    log = structured_log("test-routine")
    log("turn", pool="default", inputs=1, replans=0)
    log("facts", changes=1, facts=2)
    assert lines() == []
    log("turn", pool="default", inputs=1, replans=2)
    assert [line["replans"] for line in lines()] == [2]
    monkeypatch.setenv("POWERTOOLS_LOG_LEVEL", "DEBUG")
    structured_log("test-routine-debug")("facts", changes=1, facts=2)
    assert [line["message"] for line in lines()] == ["facts"]
