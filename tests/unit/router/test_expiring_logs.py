"""A log whose events go one by one, in no order: who follows it over a WebSocket hears all that is left of it."""

import msgspec

from pushlane.model.events import FactName
from pushlane.ports import Delete
from pushlane.state.event_log import event_key
from tests.unit.router.live_world import Client, LiveWorld

LOG = "t-1"


def test_a_hole_in_the_log_is_said_and_passed() -> None:
    world, client = LiveWorld(), Client("one")
    world.accept(LOG)
    for _ in range(4):
        world.emit(LOG)
    world.fact(FactName.TASK_SUCCEEDED, LOG)
    world.settle()
    for sequence in (2, 3, 5):
        world.store.write(Delete(event_key(LOG, sequence)))
    world.connect(client)

    world.subscribe(client, LOG)
    world.settle()

    said = [msgspec.json.decode(body) for body in world.poster.take(client.connection_id)]
    heard = [
        [event["sequence"] for event in one["events"]] if one["type"] == "events" else (one["type"], one.get("last"))
        for one in said
        if one["type"] != "subscribed"
    ]
    assert heard == [[1], ("expired", 3), [4], ("expired", 5), [6]]
