"""Changes to facts on their way out: what cannot be read steps aside, what is not accepted comes again."""

from typing import Any

import msgspec
import pytest

from pushlane.inmemory import InMemorySender, InMemorySink, ManualClock
from pushlane.model.events import Fact
from pushlane.model.keyring import ring_of
from pushlane.model.task import Status
from pushlane.ports import Attributes, Change, Key, PublishedFact, Table
from pushlane.router.lifecycle import FactsNotPublished, LifecyclePorts, publish_changes
from pushlane.state import keys
from pushlane.state.items import new_task_attributes
from tests.unit.values import NOW, a_task

QUEUE = "queue/quarantine"
EVENTS = "queue/events"


class World:
    """The lifecycle's ports. `refusing`: the facts that the bus does not accept. `closed`: the queue takes none."""

    def __init__(self) -> None:
        self.refusing: set[str] = set()
        self.closed = False
        self.logged: list[tuple[str, dict[str, Any]]] = []
        self.measured: list[Fact] = []
        self.sink = InMemorySink(refuse=lambda fact: fact.name in self.refusing)
        self.sender = InMemorySender(ManualClock(NOW), refuse=lambda _url, _message: self.closed)

    def publish(self, *changes: Change) -> int:
        ports = LifecyclePorts(
            sink=self.sink,
            sender=self.sender,
            events_queue_url=EVENTS,
            quarantine_queue_url=QUEUE,
            keyring=lambda: ring_of(b"a key"),
            log=lambda e, **f: self.logged.append((e, f)),
            measure=self.measured.extend,
        )
        return publish_changes(ports, changes)

    @property
    def told(self) -> list[str]:
        return [fact.name for fact in self.sink.published]


def accepted(number: int, **damage: Any) -> Change:
    task = a_task(number)
    new: Attributes = {**new_task_attributes(task, Status.PARKED, 0), "park_reason": "capacity", **damage}
    return Change(keys.task_key(task.task_id), None, new)


UNREADABLE = [
    accepted(2, body="{not json"),
    accepted(2, body='{"task_id":"x"}'),
    accepted(2, body=7),
    accepted(2, status="LOST"),
    accepted(2, epoch="one"),
    Change(keys.task_key("t"), None, {"v": 1}),
    Change(keys.fact_key("f"), None, {"fact": "NoSuchFact", "occurred_at_ms": 1}),
    Change(Key(Table.ATTEMPTS, "p", "t"), None, {"runner": "r"}),
]


@pytest.mark.parametrize("unreadable", UNREADABLE)
def test_an_unreadable_change_goes_to_quarantine_and_blocks_nothing(unreadable: Change) -> None:
    world = World()
    assert world.publish(accepted(1), unreadable, accepted(3)) == 4
    assert world.told == ["TaskAccepted", "TaskParked"] * 2
    [kept] = [msgspec.json.decode(message.body) for message in world.sender.drain(QUEUE)]
    assert (kept["code"], kept["key"]["pk"]) == ("unreadable_change", unreadable.key.pk)
    assert kept["reason"]
    assert [event for event, _ in world.logged] == ["unreadable-change", "facts"]


def test_an_unreadable_change_that_cannot_be_kept_comes_again_with_its_batch() -> None:
    world = World()
    world.closed = True
    with pytest.raises(FactsNotPublished, match="quarantine"):
        world.publish(accepted(1), UNREADABLE[0])
    assert world.told == []
    world.closed = False
    assert world.publish(accepted(1), UNREADABLE[0]) == 2


def test_facts_that_the_events_queue_does_not_accept_come_again_too() -> None:
    world = World()
    world.closed = True
    with pytest.raises(FactsNotPublished, match="2 of 2 facts were not accepted by the events queue"):
        world.publish(accepted(1))
    assert world.measured == []
    world.closed = False
    assert world.publish(accepted(1)) == 2
    assert [message.group for message in world.sender.drain(EVENTS)] == ["t-0001"] * 2


@pytest.mark.parametrize("name", ["TaskAccepted", "TaskParked"])
def test_a_fact_that_is_not_accepted_makes_its_batch_come_again_under_the_same_ids(name: str) -> None:
    world = World()
    world.refusing = {name}
    with pytest.raises(FactsNotPublished, match="2 of 4"):
        world.publish(accepted(1), accepted(2))
    world.refusing = set()
    assert world.publish(accepted(1), accepted(2)) == 4
    assert set(world.told) == {"TaskAccepted", "TaskParked"}
    assert len({fact_id(fact) for fact in world.sink.published}) == 4 < len(world.sink.published)


def fact_id(fact: PublishedFact) -> str:
    return msgspec.json.decode(fact.body, type=Fact).metadata.fact_id


def test_changes_that_say_nothing_are_published_as_nothing() -> None:
    world = World()
    assert world.publish(Change(keys.task_key("t"), {"v": 1}, None)) == 0
    assert (world.told, world.publish()) == ([], 0)
