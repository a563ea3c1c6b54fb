"""The WebSocket application: who may follow what, what is told when, and how everything else is refused."""

from typing import Any

import msgspec
import pytest

from pushlane.model.principal import Principal, Role
from pushlane.ports import Table
from pushlane.state import access_keys, connections
from tests.unit.api.socket_world import SocketWorld

OWN = Principal(principal_id="own", role=Role.PRODUCER, tenant_id="atlas")
FOREIGN = Principal(principal_id="foreign", role=Role.PRODUCER, tenant_id="birch")


@pytest.fixture
def world() -> SocketWorld:
    return SocketWorld()


def subscribe(subject_id: str, stream: str = "task", **more: Any) -> dict[str, Any]:
    return {"action": "subscribe", "stream": stream, "id": subject_id, **more}


def test_whoever_subscribes_gets_what_was_and_what_comes_and_nothing_twice(world: SocketWorld) -> None:
    task_id = world.dispatcher.submit(payload={"asks": True})
    world.dispatcher.run_until_idle()
    assert world.connect(OWN) == 200
    assert world.say(subscribe(task_id)) is None
    greeting, first = world.frames()
    assert greeting == {"type": "subscribed", "stream": task_id, "after": 0}
    before = [event["sequence"] for event in first["events"]]
    assert before == list(range(1, len(before) + 1))
    assert world.say({"action": "signal", "task_id": task_id, "name": "answer", "data": {"yes": True}})["status"] == 202
    after = world.sequences()
    assert after[0] == before[-1] + 1
    assert before + after == [event.sequence for event in world.dispatcher.event_logs.of(task_id)]
    assert world.dispatcher.result(task_id) == {"answer": {"yes": True}}


def test_a_subscription_goes_on_after_a_sequence(world: SocketWorld) -> None:
    task_id = world.dispatcher.submit()
    world.dispatcher.run_until_idle()
    world.connect(OWN)
    world.say(subscribe(task_id, after=3))
    assert world.sequences() == list(range(4, len(world.dispatcher.event_logs.of(task_id)) + 1))


def test_a_tenants_feed_has_all_of_its_tasks_and_nobody_elses(world: SocketWorld) -> None:
    world.connect(OWN)
    world.say(subscribe("atlas", "tenant"))
    task_ids = {world.dispatcher.submit(), world.dispatcher.submit()}
    world.dispatcher.submit(tenant_id="birch")
    world.dispatcher.run_until_idle()
    frames = [frame for frame in world.frames() if frame["type"] == "events"]
    events = [event for frame in frames for event in frame["events"]]
    assert {frame["stream"] for frame in frames} == {"FEED#atlas"}
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    for task_id in task_ids:
        own = [event.source_id for event in world.dispatcher.event_logs.of(task_id)]
        assert [event["source_id"] for event in events if event["task_id"] == task_id] == own
    assert {event["task_id"] for event in events} == task_ids


def test_nothing_comes_after_unsubscribing_or_disconnecting(world: SocketWorld) -> None:
    first, second = (world.dispatcher.submit(payload={"asks": True}) for _ in range(2))
    world.dispatcher.run_until_idle()
    world.connect(OWN)
    for task_id in (first, second):
        world.say(subscribe(task_id))
    assert world.say({"action": "unsubscribe", "stream": "task", "id": first, "ref": "r"}) == {
        "type": "unsubscribed",
        "stream": first,
        "ref": "r",
    }
    world.frames()
    for task_id in (first, second):
        world.say({"action": "signal", "task_id": task_id, "name": "answer"})
    assert {frame["stream"] for frame in world.frames()} == {second}
    world.disconnect()
    pks = {item.key.pk.partition("#")[0] for item in world.dispatcher.store.items(Table.CONNECTIONS)}
    assert pks == {"WATCHED"}


def test_what_expired_is_told_with_how_it_stands(world: SocketWorld) -> None:
    task_id = world.dispatcher.submit()
    world.dispatcher.run_until_idle()
    world.connect(OWN)
    world.say(subscribe(task_id, after=100))
    _, expired = world.frames()
    last = len(world.dispatcher.event_logs.of(task_id))
    assert (expired["type"], expired["last"], expired["snapshot"]["status"]) == ("expired", last, "SUCCEEDED")


UNREACHABLE = [
    ("task", "t-unknown"),
    ("task", None),
    ("workflow", "w-unknown"),
    ("tenant", "atlas"),
    ("tenant", "nobody"),
]


@pytest.mark.parametrize(("stream", "subject_id"), UNREACHABLE)
def test_what_is_another_tenants_answers_like_what_is_not_there(
    world: SocketWorld, stream: str, subject_id: str | None
) -> None:
    task_id = world.dispatcher.submit()
    world.dispatcher.run_until_idle()
    world.connect(FOREIGN)
    said = world.say(subscribe(subject_id or task_id, stream, ref="x"))
    assert (said["type"], said["ref"], said["problem"]["status"]) == ("error", "x", 404)
    assert said["problem"]["detail"] == f"no {stream} of this id is known"
    for action in ("cancel", "signal"):
        more = {"name": "answer"} if action == "signal" else {}
        assert world.say({"action": action, "task_id": task_id, **more})["problem"]["status"] == 404
    assert world.frames() == []
    assert world.dispatcher.status(task_id) == "SUCCEEDED"


BAD = {
    "no JSON": (b"{", "$"),
    "empty": (b"", "$"),
    "a list": (b"[]", "$.action"),
    "no action": (b"{}", "$.action"),
    "an unknown action": (b'{"action":"dance"}', "$.action"),
    "an action that is no text": (b'{"action":{}}', "$.action"),
    "no id": (b'{"action":"subscribe","stream":"task"}', "$"),
    "a bad id": (b'{"action":"subscribe","stream":"task","id":"a#b"}', "$.id"),
    "an unknown stream": (b'{"action":"subscribe","stream":"pool","id":"a"}', "$.stream"),
    "a negative sequence": (b'{"action":"subscribe","stream":"task","id":"a","after":-1}', "$.after"),
    "a sequence beyond all": (b'{"action":"subscribe","stream":"task","id":"a","after":1e300}', "$.after"),
    "an unknown field": (b'{"action":"ping","more":1}', "$.more"),
    "a name twice": (b'{"action":"ping","ref":"a","ref":"b"}', "$.ref"),
    "NaN": (b'{"action":"signal","task_id":"a","name":"n","data":{"x":NaN}}', "$.data.x"),
    "a surrogate": (b'{"action":"ping","ref":"\\ud800"}', "$.ref"),
    "a long ref": (b'{"action":"ping","ref":"' + b"r" * 129 + b'"}', "$.ref"),
    "nested too deep": (b'{"action":"signal","task_id":"a","name":"n","data":' + b'{"a":' * 70 + b"1" + b"}" * 71, "$"),
}


@pytest.mark.parametrize(("raw", "field"), BAD.values(), ids=BAD.keys())
def test_a_message_that_is_wrong_is_answered_with_the_field(world: SocketWorld, raw: bytes, field: str) -> None:
    world.connect(OWN)
    said = world.say(raw)
    assert (said["type"], said["problem"]["status"]) == ("error", 422)
    assert said["problem"]["errors"][0]["field"].startswith(field)
    assert world.frames() == []


def test_a_message_that_is_too_large_is_refused(world: SocketWorld) -> None:
    world.connect(OWN)
    assert world.say(b'{"action":"ping","ref":"' + b"r" * 40_000 + b'"}')["problem"]["status"] == 413


def test_a_ping_is_answered(world: SocketWorld) -> None:
    world.connect(OWN)
    assert world.say({"action": "ping", "ref": "7"}) == {"type": "pong", "ref": "7"}


def test_a_connection_without_a_principal_is_refused(world: SocketWorld) -> None:
    assert world.connect(None) == 401
    assert world.say(subscribe("t-1"))["problem"]["status"] == 401


def test_a_ticket_watches_its_stream_and_tells_nothing(world: SocketWorld) -> None:
    task_id, other = (world.dispatcher.submit() for _ in range(2))
    world.dispatcher.run_until_idle()
    world.connect(msgspec.structs.replace(OWN, by_ticket=True, stream=task_id))
    assert world.say(subscribe(task_id)) is None
    assert len(world.sequences()) > 3
    assert world.say(subscribe(other))["problem"]["status"] == 404
    assert world.say({"action": "cancel", "task_id": task_id})["problem"]["status"] == 403


def test_a_revoked_key_ends_what_its_open_connection_may_ask_for(world: SocketWorld) -> None:
    task_id = world.dispatcher.submit()
    world.dispatcher.run_until_idle()
    key_id = world.api.new_key(Role.PRODUCER, tenant_id="atlas").split("_")[1]
    world.connect(msgspec.structs.replace(OWN, key_id=key_id))
    assert world.say(subscribe(task_id)) is None
    assert access_keys.revoke_key(world.dispatcher.store, key_id)
    world.dispatcher.advance(2)
    assert world.say(subscribe(task_id))["problem"]["status"] == 401


def test_an_agents_connection_is_found_by_its_agent_until_it_closes(world: SocketWorld) -> None:
    agent = Principal(principal_id="worker", role=Role.AGENT, pool="default", agent_id="worker-1")
    world.connect(agent, "a1")
    found = connections.connections_of_agent(world.dispatcher.store, "default", "worker-1")
    assert [one.connection.connection_id for one in found] == ["a1"]
    assert world.say(subscribe("atlas", "tenant"), "a1")["problem"]["status"] == 403
    world.disconnect("a1")
    assert connections.connections_of_agent(world.dispatcher.store, "default", "worker-1") == []


def test_a_connection_follows_a_bounded_number_of_streams(world: SocketWorld) -> None:
    world.connect(OWN)
    task_ids = [world.dispatcher.submit() for _ in range(connections.SUBSCRIPTIONS_MAX + 1)]
    world.dispatcher.run_until_idle()
    answers = [world.say(subscribe(task_id)) for task_id in task_ids]
    assert answers[:-1] == [None] * connections.SUBSCRIPTIONS_MAX
    assert answers[-1]["problem"]["status"] == 429
    assert world.say(subscribe(task_ids[0])) is None
