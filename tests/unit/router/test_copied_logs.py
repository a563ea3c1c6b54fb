"""Logs that repeat others: whose events stand where, and what a forged or circular family does not do."""

import msgspec
import pytest

from pushlane.model.errors import StoreUnavailable
from pushlane.model.events import FactName
from pushlane.model.live import Copy
from pushlane.model.task import Status
from pushlane.ports import Message, Put, Table
from pushlane.router.repeating import PASSES_MAX, message_of
from pushlane.state import keys
from pushlane.state.copied_log import EVENTS_MAX, HOPS_MAX
from pushlane.state.items import new_task_attributes
from tests.unit.router.live_world import FEED, RING, TENANT, Client, LiveWorld
from tests.unit.values import a_task


def whose(world: LiveWorld, log: str) -> set[str]:
    return {event.task_id for event in world.log_of(log)}


def test_a_parent_has_what_its_attached_tasks_say_and_keeps_whose_it_is() -> None:
    world = LiveWorld()
    world.accept("t-parent")
    world.accept("t-child", parent="t-parent")
    world.emit("t-child")
    world.accept("t-grandchild", parent="t-child")
    world.settle()
    assert whose(world, "t-parent") == {"t-parent", "t-child", "t-grandchild"}
    assert [event.hops for event in world.log_of("t-parent") if event.task_id == "t-grandchild"] == [2]
    assert whose(world, "t-grandchild") == {"t-grandchild"}
    sequences = [event.sequence for event in world.log_of("t-parent")]
    assert sequences == list(range(1, len(sequences) + 1))


def test_what_a_task_said_before_it_was_known_to_follow_is_repeated_as_well() -> None:
    world = LiveWorld()
    world.accept("t-parent")
    world.settle()
    world.emit("t-child")
    world.settle()
    world.accept("t-child", parent="t-parent")
    world.settle()
    assert [event.kind for event in world.log_of("t-parent")] == [
        "TaskAccepted",
        "token",
        "TaskAccepted",
    ]


def test_a_parent_that_is_another_tenants_or_nobodys_hears_nothing() -> None:
    world = LiveWorld()
    foreign = msgspec.structs.replace(a_task(1), task_id="t-foreign", tenant_id="birch")
    world.store.write(Put(keys.task_key("t-foreign"), new_task_attributes(foreign, Status.DISPATCHED, 1)))
    world.accept("t-one", parent="t-foreign")
    world.accept("t-two", parent="t-nowhere")
    world.settle()
    assert world.log_of("t-foreign") == world.log_of("t-nowhere") == ()
    codes = [fields["code"] for event, fields in world.logged if event == "refused"]
    assert codes == ["another-tenant"] * 2


def test_tasks_that_name_each_other_as_parents_come_to_an_end() -> None:
    world = LiveWorld()
    names = ("t-a", "t-b", "t-c")
    for task_id, parent in zip(names, ("t-b", "t-a", "t-a"), strict=True):
        world.accept(task_id, parent=parent)
    world.accept("t-self", parent="t-self")
    world.settle()
    assert max(event.hops for name in names for event in world.log_of(name)) <= HOPS_MAX
    assert len(world.log_of("t-self")) == 1


def test_a_feed_has_everything_once_and_only_when_it_is_open() -> None:
    world = LiveWorld()
    world.accept("t-before")
    world.settle()
    assert world.log_of(FEED) == ()
    world.word_of_feed()
    world.settle()
    world.clock.advance(2_000)
    world.accept("t-parent")
    world.accept("t-child", parent="t-parent")
    world.emit("t-before")
    world.fact(FactName.WORKFLOW_ACCEPTED, None, workflow_id="w-1")
    world.settle()
    assert whose(world, FEED) == {"t-before", "t-parent", "t-child", "w-1"}
    assert len(world.said(FEED)) == len(set(world.said(FEED))) == 5


def test_a_nudge_that_was_lost_is_made_good_by_the_next() -> None:
    world = LiveWorld()
    world.accept("t-parent")
    world.accept("t-child", parent="t-parent")
    world.settle()
    for number in range(3):
        world.emit("t-child")
        world.deliver()
        if number < 2:
            world.queue.clear()
    world.settle()
    assert [event.kind for event in world.log_of("t-parent")].count("token") == 3


def test_a_nudge_that_agents_could_have_sent_is_not_believed() -> None:
    world = LiveWorld()
    world.accept("t-parent")
    world.emit("t-other")
    world.settle()
    forged = message_of(Copy(log="t-parent", source="t-other", tenant_id=TENANT, upto=9), RING)
    world.queue.append(Message(forged.body.replace(forged.deduplication_id or "", "0" * 64)))
    world.settle()
    assert whose(world, "t-parent") == {"t-parent"}


@pytest.mark.parametrize("count", [EVENTS_MAX, EVENTS_MAX + 1, EVENTS_MAX * (PASSES_MAX + 1)])
def test_a_long_log_is_repeated_in_parts(count: int) -> None:
    world = LiveWorld()
    world.accept("t-parent")
    for _ in range(count):
        world.emit("t-child")
    world.settle()
    world.accept("t-child", parent="t-parent")
    world.settle()
    client = Client("watcher")
    world.connect(client)
    world.subscribe(client, "t-parent")
    world.settle()
    world.read(client)
    assert client.last("t-parent") == count + 2


def test_a_subscription_of_a_closed_connection_is_nothing() -> None:
    world = LiveWorld()
    world.accept("t-one")
    client = Client("gone")
    client.connection_id = "never-opened"
    world.subscribe(client, "t-one")
    world.settle()
    assert world.store.items(Table.CONNECTIONS) == []


@pytest.mark.parametrize("times", [1, 2])
def test_a_subscription_that_meets_another_write_is_tried_again(times: int) -> None:
    world = LiveWorld()
    world.accept("t-one")
    client = Client("watcher")
    world.connect(client)
    world.settle()
    world.chance.conflicts = times
    world.subscribe(client, "t-one")
    world.read(client)
    assert client.last("t-one") == 1


def test_a_subscription_that_meets_other_writes_every_time_is_to_be_asked_for_again() -> None:
    world = LiveWorld()
    world.accept("t-one")
    client = Client("watcher")
    world.connect(client)
    world.settle()
    world.chance.conflicts = 3
    with pytest.raises(StoreUnavailable, match="ask again"):
        world.begin(world.wish(client, "t-one"))
    assert world.poster.take(client.connection_id) == []
    world.subscribe(client, "t-one")
    world.read(client)
    assert client.last("t-one") == 1


def test_a_subscription_that_is_asked_for_again_goes_on_from_where_it_is() -> None:
    world = LiveWorld()
    world.accept("t-one")
    client = Client("watcher")
    world.connect(client)
    world.settle()
    wish = world.wish(client, "t-one")
    world.begin(wish)
    world.begin(wish)
    kinds = [msgspec.json.decode(body)["type"] for body in world.poster.take(client.connection_id)]
    assert kinds == ["subscribed", "events", "subscribed"]


def test_who_is_slow_is_dropped_and_closed_and_others_go_on() -> None:
    world = LiveWorld()
    world.accept("t-one")
    slow, quick = Client("slow"), Client("quick")
    for client in (slow, quick):
        world.connect(client)
        world.subscribe(client, "t-one")
    world.settle()
    world.slow.add(slow.connection_id)
    world.emit("t-one")
    world.settle()
    assert not world.poster.is_open(slow.connection_id)
    world.read(quick)
    assert quick.last("t-one") == 2
    sks = {item.key.sk for item in world.store.items(Table.CONNECTIONS)}
    assert slow.connection_id not in sks
    assert quick.connection_id in sks
