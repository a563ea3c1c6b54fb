"""Dispatches to agents behind URLs and WebSocket connections: signed, handed over once, pushed again by their lease."""

from typing import Any

import msgspec
import pytest

from pushlane.model.access_key import AccessKey, KeyKind, secret_digest
from pushlane.model.endpoint import Endpoint, EndpointKind
from pushlane.model.keyring import KeyRing
from pushlane.model.live import Connection
from pushlane.model.principal import Principal, Role
from pushlane.model.target_url import Answer, InvalidTarget, TargetUnreachable
from pushlane.model.task import DEFAULT_POOL
from pushlane.model.webhook_signature import InvalidSignature, verified_id
from pushlane.router.dispatch_delivery import agent_secret, secrets_of
from pushlane.state.access_keys import add_key, revoke_key
from pushlane.state.connections import Connected, connect
from pushlane.testing.deliveries import OUTBOUND as OUTBOUND_QUEUE
from pushlane.testing.dispatcher import RING
from tests.unit.router.courier_world import OUTBOUND, CourierWorld

AGENT_URL = "https://agent.example/dispatches"


@pytest.fixture
def world() -> CourierWorld:
    return CourierWorld()


def register(world: CourierWorld, kind: EndpointKind, target: str) -> None:
    world.dispatcher.register(None, agent_id="far", capabilities=("far",), endpoint=Endpoint(kind=kind, target=target))


def ordered(world: CourierWorld) -> list[str]:
    """What the router asks the courier for."""
    world.dispatcher.submit(task_type="far", payload={"n": 1})
    world.dispatcher.run_until_idle()
    return [message.body for message in world.dispatcher.sender.drain(OUTBOUND_QUEUE)]


def open_connection(
    world: CourierWorld, connection_id: str, agent_id: str = "far", opened_at_ms: int = 1, key_id: str | None = None
) -> None:
    principal = Principal(principal_id="p", role=Role.AGENT, pool=DEFAULT_POOL, agent_id=agent_id, key_id=key_id)
    connection = Connection(connection_id=connection_id, api_id="a", domain="d", stage="s")
    connect(world.dispatcher.store, Connected(connection=connection, principal=principal, opened_at_ms=opened_at_ms))
    world.poster.open(connection_id)


def test_an_agent_behind_a_url_gets_the_dispatch_signed_under_its_own_secret(world: CourierWorld) -> None:
    register(world, EndpointKind.HTTPS, AGENT_URL)
    [body] = ordered(world)
    assert world.deliver(body, queue=OUTBOUND) == []
    [(url, headers, posted)] = world.receiver.posted
    dispatch = msgspec.json.decode(posted)
    assert (url, dispatch["agent_id"], dispatch["payload"]) == (AGENT_URL, "far", {"n": 1})
    now_seconds = world.dispatcher.clock.now_ms() // 1_000
    secret = agent_secret(RING.signing()[1], DEFAULT_POOL, "far")
    assert verified_id([secret], headers, posted, now_seconds) == f"{dispatch['task_id']}.{dispatch['epoch']}"
    with pytest.raises(InvalidSignature):
        verified_id([agent_secret(RING.signing()[1], DEFAULT_POOL, "other")], headers, posted, now_seconds)


@pytest.mark.parametrize(
    "answer",
    [
        *(Answer(status=status, headers={}, body=b"") for status in (302, 404, 410, 500, 503)),
        TargetUnreachable("refused"),
        InvalidTarget("private"),
    ],
)
def test_a_dispatch_that_is_not_taken_is_pushed_again_by_its_start_lease(
    world: CourierWorld, answer: Answer | InvalidTarget | TargetUnreachable
) -> None:
    register(world, EndpointKind.HTTPS, AGENT_URL)
    [body] = ordered(world)
    world.receiver.answers = [answer]
    assert world.deliver(body, queue=OUTBOUND) == []
    assert world.postponed.said == []
    world.dispatcher.advance(40)
    [again] = [message.body for message in world.dispatcher.sender.drain(OUTBOUND_QUEUE)]
    assert world.deliver(again, queue=OUTBOUND) == []
    first, second = (msgspec.json.decode(posted) for _, _, posted in world.receiver.posted)
    assert (first["task_id"], first["epoch"]) == (second["task_id"], second["epoch"])


def test_an_agent_on_a_websocket_gets_the_dispatch_as_a_frame(world: CourierWorld) -> None:
    register(world, EndpointKind.WEBSOCKET, "c1")
    open_connection(world, "c1")
    [body] = ordered(world)
    assert world.deliver(body, queue=OUTBOUND) == []
    [frame] = map(msgspec.json.decode, world.poster.take("c1"))
    assert (frame["type"], frame["dispatch"]["payload"]) == ("dispatch", {"n": 1})


def test_an_agent_that_has_connected_anew_gets_it_there(world: CourierWorld) -> None:
    register(world, EndpointKind.WEBSOCKET, "c1")
    for number in (2, 3):
        open_connection(world, f"c{number}", opened_at_ms=number)
    [body] = ordered(world)
    world.deliver(body, queue=OUTBOUND)
    assert [len(world.poster.take(f"c{number}")) for number in (2, 3)] == [0, 1]


def test_a_connection_outlives_its_key_and_gets_nothing(world: CourierWorld) -> None:
    """Whoever has stolen a key that was revoked since, and has connected last, stands in nobody's way."""
    register(world, EndpointKind.WEBSOCKET, "c3")
    for number in (2, 3):
        key = AccessKey(
            key_id=f"key{number:05d}",
            kind=KeyKind.API,
            role=Role.AGENT,
            created_at_ms=0,
            pool=DEFAULT_POOL,
            agent_id="far",
            secret_digest=secret_digest(str(number)),
        )
        add_key(world.dispatcher.store, key)
        open_connection(world, f"c{number}", opened_at_ms=number, key_id=key.key_id)
    revoke_key(world.dispatcher.store, "key00003")
    [body] = ordered(world)
    world.deliver(body, queue=OUTBOUND)
    assert [len(world.poster.take(f"c{number}")) for number in (2, 3)] == [1, 0]


def test_no_other_agents_connection_gets_it(world: CourierWorld) -> None:
    register(world, EndpointKind.WEBSOCKET, "c1")
    open_connection(world, "c1", agent_id="other")
    [body] = ordered(world)
    assert world.deliver(body, queue=OUTBOUND) == []
    assert world.poster.take("c1") == []


def broken(body: str, **changed: Any) -> str:
    said = msgspec.json.decode(body)
    said["dispatch"] |= changed
    return msgspec.json.encode(said).decode()


def test_what_the_router_did_not_make_is_delivered_to_nobody(world: CourierWorld) -> None:
    register(world, EndpointKind.HTTPS, AGENT_URL)
    [body] = ordered(world)
    other_kind = msgspec.json.encode(msgspec.json.decode(body) | {"kind": "sqs"}).decode()
    forged = [broken(body, token="a.b.c"), broken(body, token=1), other_kind, "{}", "", "null"]
    assert world.deliver(*forged, queue=OUTBOUND) == [f"m{number}" for number in range(len(forged))]
    assert world.receiver.posted == []


def test_while_the_ring_has_two_keys_both_of_the_agents_secrets_sign(world: CourierWorld) -> None:
    ring = KeyRing("k2", {"k1": b"one", "k2": b"two"})
    expected = [agent_secret(ring.key(kid), "p", "a") for kid in ("k2", "k1")]
    assert secrets_of(ring, "p", "a") == expected
