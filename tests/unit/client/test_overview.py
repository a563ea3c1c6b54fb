"""What an operator sees, against a dispatcher in memory."""

import json
from collections.abc import Mapping
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from pushlane.agent import TaskContext, agent
from pushlane.client.overview import Overview, QueueDepth, queue_depth
from pushlane.client.tenants import add_tenant, all_tenants
from pushlane.model.errors import PushlaneError
from pushlane.testing import InMemoryDispatcher, sqs_event, submit_envelope
from tests.unit.client.doubles import INSTALLATION, RecordingClient


@agent(task_types=("echo",))
def echo(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    return payload


def depths(waiting: int) -> RecordingClient:
    names = ("", "NotVisible", "Delayed")
    attributes = {f"ApproximateNumberOfMessages{name}": str(waiting + n) for n, name in enumerate(names)}
    return RecordingClient(lambda _name, _arguments: {"Attributes": attributes})


def test_agents_lanes_and_reservations_of_a_busy_pool() -> None:
    dispatcher = InMemoryDispatcher()
    dispatcher.register(echo, agent_id="one", slots=1)
    overview = Overview(INSTALLATION, dispatcher.store, cast(Any, depths(0)))
    bodies = [json.dumps(submit_envelope(task_type="echo", payload={"n": n})) for n in range(3)]
    dispatcher.router.handle(sqs_event("queue/intake", [(f"m-{n}", body) for n, body in enumerate(bodies)]))
    seen = overview.seen()
    assert [(one.agent_id, one.used, one.slots) for one in overview.agents()] == [("one", 1, 1)]
    assert seen.live_reservations == 1
    assert [(lane.tenant_id, lane.tier, lane.capabilities, lane.depth) for lane in seen.lanes] == [
        ("atlas", "normal", ("echo",), 2)
    ]
    dispatcher.run_until_idle()
    assert (overview.live_reservations(), overview.lanes()) == (0, ())


def test_queue_depths_are_named_by_queue() -> None:
    depth = queue_depth(cast(Any, depths(5)), "http://host/000000000000/intake-0")
    assert depth == QueueDepth(name="intake-0", waiting=5, in_flight=6, delayed=7)
    assert depth.total == 18


def test_queues_are_called_by_what_they_are_for() -> None:
    dispatcher = InMemoryDispatcher()
    dispatcher.register(echo, agent_id="one", slots=1)
    overview = Overview(INSTALLATION, dispatcher.store, cast(Any, depths(0)))
    names = [queue.name for queue in overview.queues()]
    assert names == ["intake 0", "intake 1", "held", "agent default/one", "results", "wake-ups"]
    assert [queue.name for queue in overview.dead_letters()] == ["intake", "held"]


def test_a_queue_that_is_gone_is_empty() -> None:
    def gone(name: str, arguments: dict[str, Any]) -> Any:
        raise ClientError({"Error": {"Code": "AWS.SimpleQueueService.NonExistentQueue"}}, name)

    assert queue_depth(cast(Any, RecordingClient(gone)), "u/q").total == 0


def test_tenants_are_added_once() -> None:
    store = InMemoryDispatcher(tenants=()).store
    assert add_tenant(store, "birch", 7)
    assert not add_tenant(store, "birch", 9)
    assert [(one.tenant_id, one.status, one.created_at_ms) for one in all_tenants(store)] == [("birch", "active", 7)]


def test_a_tenant_id_must_be_an_identifier() -> None:
    with pytest.raises(PushlaneError, match="tenant_id"):
        add_tenant(InMemoryDispatcher().store, "a#b", 1)
