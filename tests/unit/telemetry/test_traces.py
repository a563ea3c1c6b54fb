"""A task's trace shows every hop with no gap: read from the spans that the real handlers exported."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from pushlane.agent import TaskContext, agent
from pushlane.model.span import SpanStatus
from pushlane.model.task import EVENT_DOORS, Door
from pushlane.model.trace_context import read_traceparent
from pushlane.testing import sqs_event, submit_envelope
from pushlane.testing.api import InMemoryApi
from pushlane.testing.traces import holes, tree
from tests.unit.telemetry.traced import (
    AFTER_DOOR_MS,
    GIVEN,
    IN_AGENTS_QUEUE_MS,
    IN_QUEUE_MS,
    PRODUCER,
    RUN,
    RUN_MS,
    TRACE,
    World,
    through,
)


@pytest.mark.parametrize("door", EVENT_DOORS)
def test_the_trace_of_a_task_through_each_event_door_shows_every_hop_with_no_gap(door: Door) -> None:
    world = World()
    task_id = through(world, door)
    world.run()
    root, spans = world.root(task_id), world.of(task_id)
    channel = "stream intake" if door is Door.KINESIS else "queue intake"
    assert tree(spans, root) == [f"door {door}", channel, "accept", *RUN]
    assert holes(spans, root) == []
    by_name = {one.name: (one.end_ms or 0) - one.start_ms for one in spans}
    assert by_name[f"door {door}"] == AFTER_DOOR_MS
    assert by_name[channel] == IN_QUEUE_MS
    assert by_name["queue dispatch"] == IN_AGENTS_QUEUE_MS
    assert by_name["run"] == by_name["step work"] == RUN_MS
    assert by_name[root.name] == AFTER_DOOR_MS + IN_QUEUE_MS + IN_AGENTS_QUEUE_MS + RUN_MS
    assert {one.trace_id for one in spans} == {TRACE}
    assert (root.parent_id, root.status) == (PRODUCER, SpanStatus.OK)


def test_the_trace_of_a_task_through_the_api_shows_every_hop_with_no_gap() -> None:
    world = World()
    api = InMemoryApi(world.dispatcher)
    body = {"task_type": "echo", "payload": {}}
    answer = api.call("POST", "/v1/tasks", principal=api.producer(), body=body, headers={"traceparent": GIVEN})
    world.run()
    task_id = answer.body["task_id"]
    root, spans = world.root(task_id), world.of(task_id)
    assert tree(spans, root) == ["door http", "accept", *RUN]
    assert holes(spans, root) == []
    assert {one.trace_id for one in spans} == {TRACE}


def test_what_the_author_does_stands_under_its_attempt() -> None:
    world = World()
    task_id = through(world, Door.SQS)
    world.run()
    run = next(one for one in world.of(task_id) if one.name == "run")
    step = next(one for one in world.of(task_id) if one.name == "step work")
    assert step.parent_id == run.span_id
    place = read_traceparent(world.seen[0])
    assert place is not None
    assert (place.trace_id, place.span_id) == (TRACE, run.span_id)


def test_waiting_and_retries_leave_no_gap_either() -> None:
    world = World(slots=1)
    first = through(world, Door.SQS, idempotency_key="first")
    waiting = through(world, Door.SNS, idempotency_key="waiting", payload={"fails": 1})
    world.run()
    world.dispatcher.advance(10)
    root, spans = world.root(waiting), world.of(waiting)
    wait = ["door sns", "queue intake", "accept", "parked capacity"]
    assert tree(spans, root) == [*wait, *RUN, "retrying", *RUN]
    assert holes(spans, root) == []
    assert holes(world.of(first), world.root(first)) == []
    runs = [one for one in spans if one.name == "run"]
    assert [one.status for one in runs] == [SpanStatus.ERROR, SpanStatus.OK]
    assert runs[0].attributes["error.type"] == "ValueError"


def test_an_attempt_that_dies_gives_its_time_and_ends_with_its_lease() -> None:
    world = World()
    world.dispatcher.register(None, agent_id="by-hand", capabilities=("fragile",))
    task_id = through(world, Door.SQS, task_type="fragile")
    world.clock.advance(IN_AGENTS_QUEUE_MS)
    world.dispatcher.take("by-hand", lease_ms=5_000)
    world.dispatcher.advance_with_sweeps(2)
    by_hand = world.dispatcher.take("by-hand")
    by_hand.succeed()
    world.dispatcher.run_until_idle()
    root, spans = world.root(task_id), world.of(task_id)
    assert holes(spans, root) == []
    lost, done = [one for one in spans if one.name == "run"]
    assert (lost.status, lost.attributes["error.type"]) == (SpanStatus.ERROR, "LeaseExpired")
    assert done.status is SpanStatus.OK


def test_an_attempt_that_gives_its_slot_back_runs_on() -> None:
    world = World()
    world.dispatcher.register(None, agent_id="by-hand", capabilities=("patient",))
    task_id = through(world, Door.SQS, task_type="patient")
    attempt = world.dispatcher.take("by-hand")
    attempt.begin_wait()
    world.dispatcher.advance(5)
    attempt.end_wait()
    world.dispatcher.advance(5)
    assert attempt.is_granted()
    attempt.succeed()
    world.dispatcher.run_until_idle()
    root, spans = world.root(task_id), world.of(task_id)
    assert holes(spans, root) == []
    run = next(one for one in spans if one.name == "run")
    (waiting,) = [one for one in spans if one.name == "waiting"]
    assert waiting.parent_id == run.span_id
    assert run.start_ms <= waiting.start_ms < (waiting.end_ms or 0) <= (run.end_ms or 0)


def test_a_turn_is_one_span_linked_to_every_task_of_its_batch() -> None:
    world = World()
    task_ids = [world.dispatcher.submit(payload={"say": number}) for number in range(3)]
    world.run()
    first = next(one for one in world.spans.exported if one.name.startswith("turn "))
    named = {(link.trace_id, link.span_id) for link in first.links}
    for task_id in task_ids:
        run = next(one for one in world.of(task_id) if one.name == "run")
        assert {(one.trace_id, one.span_id) for one in (world.root(task_id), run)} <= named
    assert first.attributes["inputs"] == first.attributes["pushed"] == len(task_ids)
    ends = [one for one in world.spans.exported if one.name.startswith("turn ")][1:]
    ended = {link.span_id for one in ends for link in one.links}
    assert {next(one for one in world.of(task_id) if one.name == "run").span_id for task_id in task_ids} <= ended


def test_a_batch_that_comes_again_exports_the_same_spans() -> None:
    world = World()
    task_id = through(world, Door.SQS)
    world.run()
    before = world.spans.by_id
    world.dispatcher.router.handle(
        sqs_event("arn:intake", [("m-1", json.dumps(submit_envelope(idempotency_key=f"key-{Door.SQS}", payload={})))])
    )
    ports = world.dispatcher
    ports.publish()
    ours = {key for key, one in world.spans.by_id.items() if one.attributes.get("task_id") == task_id}
    assert ours == {key for key, one in before.items() if one.attributes.get("task_id") == task_id}


def test_children_and_their_steps_go_on_in_the_parents_trace() -> None:
    world = World()

    @agent(task_types=("parent",))
    def parent(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        return dict(ctx.submit("echo", {"say": "hello"}, key="child").result())

    world.dispatcher.register(parent, agent_id="parent")
    task_id = through(world, Door.SQS, task_type="parent")
    world.run()
    world.dispatcher.advance(5)
    assert world.dispatcher.status(task_id) == "SUCCEEDED"
    child_root = next(one for one in world.spans.by_id.values() if one.name == "task echo")
    first_run = next(one for one in world.of(task_id) if one.name == "run")
    assert (child_root.trace_id, child_root.parent_id) == (TRACE, first_run.span_id)
    assert holes(world.of(task_id), world.root(task_id)) == []
    assert "suspended" in tree(world.of(task_id), world.root(task_id))


def test_a_workflows_nodes_share_a_trace_under_the_workflows_own_span() -> None:
    world = World()
    nodes = [{"name": "a", "task_type": "echo"}, {"name": "b", "task_type": "echo", "depends_on": ["a"]}]
    data = {"tenant_id": "atlas", "tasks": nodes}
    world.dispatcher.send({"metadata": {"name": "SubmitWorkflow", "version": 1}, "data": data})
    world.run()
    world.dispatcher.advance(5)
    (whole,) = [one for one in world.spans.by_id.values() if one.name == "workflow"]
    roots = {str(one.attributes["node"]): one for one in world.spans.by_id.values() if one.name == "task echo"}
    assert {one.trace_id for one in roots.values()} == {whole.trace_id}
    assert {one.parent_id for one in roots.values()} == {whole.span_id}
    assert [link.span_id for link in roots["b"].links] == [roots["a"].span_id]
    assert whole.status is SpanStatus.OK
    for root in roots.values():
        task_id = str(root.attributes["task_id"])
        assert holes(world.of(task_id), root) == []
    assert "blocked" in tree(world.of(str(roots["b"].attributes["task_id"])), roots["b"])
