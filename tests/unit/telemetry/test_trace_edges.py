"""Which traces are exported, where they go on from, and what they say when clocks and channels are not kind."""

import json

import msgspec
import pytest

from pushlane.api.caller import context_of
from pushlane.model.ids import keyed_task_id
from pushlane.model.task import Door
from pushlane.model.trace_context import read_traceparent
from pushlane.testing import sqs_event, submit_envelope
from pushlane.testing.api import InMemoryApi
from pushlane.testing.traces import holes
from tests.unit.telemetry.traced import (
    AFTER_DOOR_MS,
    GIVEN,
    IN_QUEUE_MS,
    PRODUCER,
    TRACE,
    World,
    through,
)


def test_what_the_producer_left_out_or_the_share_does_not_take_is_not_exported() -> None:
    none = World(ratio=0.0)
    through(none, Door.SQS)
    none.run()
    assert none.spans.exported == ()
    world = World()
    envelope = submit_envelope(payload={})
    envelope["metadata"] |= {"traceparent": GIVEN[:-1] + "0"}
    world.dispatcher.send(envelope)
    world.run()
    assert world.spans.exported == ()
    assert world.seen[0] is not None
    assert world.seen[0].endswith("-00")  # and whoever is called hears so too


def test_x_rays_header_leads_into_the_trace_and_goes_on_with_every_message() -> None:
    world = World(headers=True)
    header = f"Root=1-{TRACE[:8]}-{TRACE[8:]};Parent={PRODUCER};Sampled=1"
    envelope = submit_envelope(payload={}, idempotency_key="x")
    event = sqs_event("arn:intake", [("m-1", json.dumps(envelope))], {"AWSTraceHeader": header})
    world.dispatcher.router.handle(event)
    (pushed,) = world.dispatcher.sender.drain("queue/agent/one")
    assert pushed.trace_header is not None
    assert pushed.trace_header.startswith(f"Root=1-{TRACE[:8]}-{TRACE[8:]};Parent=")
    world.dispatcher.sender.send("queue/agent/one", [pushed])
    world.dispatcher.step()
    run = read_traceparent(world.seen[0])
    assert run is not None
    assert run.xray_header == pushed.trace_header


def test_no_span_says_what_a_task_is_about() -> None:
    world = World(slots=1)
    through(world, Door.SQS, payload={"say": "sesame-1", "fails": 1}, labels={"who": "sesame-2"})
    world.run()
    world.dispatcher.advance(10)
    assert "sesame" not in msgspec.json.encode(world.spans.exported).decode()


@pytest.mark.parametrize(
    ("said_ms", "door_ms"),
    [(-30, 30), (0, 0), (5_000, 0), (-(10**12), 24 * 3_600_000)],
)
def test_a_producers_clock_may_be_wrong(said_ms: int, door_ms: int) -> None:
    """What it says is taken as far as it can be: not after the channel had it, and not days before."""
    world = World()
    sent_ms = world.clock.now_ms()
    envelope = submit_envelope(idempotency_key="k")
    envelope["metadata"]["submitted_at_ms"] = max(0, sent_ms + said_ms)
    world.clock.advance(IN_QUEUE_MS)
    body = [("m-1", json.dumps(envelope))]
    world.dispatcher.router.handle(sqs_event("arn:intake", body, {"SentTimestamp": str(sent_ms)}))
    world.run()
    task_id = keyed_task_id("atlas", "k")
    root, spans = world.root(task_id), world.of(task_id)
    doors = [(one.end_ms or 0) - one.start_ms for one in spans if one.name == "door sqs"]
    assert doors == ([door_ms] if door_ms else [])
    assert holes(spans, root) == []


def test_a_call_to_the_api_begins_when_the_gateway_got_it() -> None:
    world = World()
    api = InMemoryApi(world.dispatcher)
    received_ms = world.clock.now_ms()
    world.clock.advance(AFTER_DOOR_MS)
    request = {
        "version": "2.0",
        "rawPath": "/v1/tasks",
        "headers": {},
        "requestContext": {
            "http": {"method": "POST"},
            "requestId": "r-1",
            "timeEpoch": received_ms,
            "authorizer": {"lambda": context_of(api.producer())},
        },
        "body": json.dumps({"task_type": "echo", "payload": {}}),
    }
    answer = api.app.handle(request)
    world.run()
    task_id = json.loads(answer["body"])["task_id"]
    root, spans = world.root(task_id), world.of(task_id)
    door = next(one for one in spans if one.name == "door http")
    assert (door.start_ms, (door.end_ms or 0) - door.start_ms) == (received_ms, AFTER_DOOR_MS)
    assert holes(spans, root) == []


def test_a_task_that_steps_aside_for_a_while_has_no_gap() -> None:
    """It keeps the time at which its channel had it first."""
    world = World()
    world.dispatcher.held.note("default", "atlas", world.clock.now_ms() + 3_000)
    task_id = through(world, Door.SQS)
    assert world.dispatcher.status(task_id) is None
    world.dispatcher.advance(5)
    root, spans = world.root(task_id), world.of(task_id)
    assert holes(spans, root) == []
    queue = next(one for one in spans if one.name == "queue intake")
    assert (queue.end_ms or 0) - queue.start_ms > 3_000
