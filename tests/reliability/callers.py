"""Others who call the product's code: somebody who runs tasks himself, somebody who reads an event log, a long-lived
agent that says that it is there, a newer version that writes what this one cannot read.
"""

from collections.abc import Callable
from typing import Final

from pushlane.model.errors import PushlaneError
from pushlane.model.task import Door, Source
from pushlane.ports import Key, Put, Table
from pushlane.router import registry
from pushlane.router.intake import Record, normalise
from pushlane.router.resource_registry import ResourceRegistry
from pushlane.state.event_log import read_events
from tests.reliability.deliveries import Deliveries
from tests.reliability.faults import Fault
from tests.reliability.handlers import agent_item, queue_of
from tests.reliability.invocations import Invocation
from tests.reliability.producers import Producers
from tests.reliability.tasks import a_task, envelope
from tests.reliability.world import World

_BEATS_MS: Final = 8_000
_ALIVE_SECONDS: Final = 20
LONG_LIVED: Final = "other-9"


class Callers:
    """Of one world."""

    def __init__(self, world: World, deliveries: Deliveries, producers: Producers) -> None:
        self._world = world
        self._deliveries = deliveries
        self._producers = producers
        self._next_beat_ms: int | None = None
        self._silent_until_ms = 0

    def actions(self) -> tuple[Callable[[], None], ...]:
        return (self.reserve, self.read_log, self.unreadable_item, self.long_lived_agent, self.fall_silent)

    def reserve(self) -> None:
        """Somebody asks for a task's reservation and runs it himself, or dies with it: twice, for the same task."""
        world = self._world
        pusher = world.environment().pusher
        reserving = ResourceRegistry(world.sweeper, pusher)
        source = Source(door=Door.SQS, source_id=world.new_id("source"))
        body = envelope("SubmitTask", a_task(world.chance, world.clock.now_ms()))
        record = Record(item_id="1", source=source, body=body)
        task = normalise(record, world.clock.now_ms(), lambda _record, _said: None)

        def work() -> None:
            if reserving.can_admit(task).admitted:
                reserving.reserve(task)
                reserving.reserve(task)

        self._deliveries.invoke(Invocation("caller", work, lambda _died: None))

    def read_log(self) -> None:
        """Somebody reads what happened to a task."""
        world = self._world
        tasks = sorted(world.audit.mirror.tasks)
        if tasks:
            task_id = world.chance.pick(tasks)
            work = Invocation(
                "reader", lambda: _read(read_events(world.outside.store, task_id).more), lambda _died: None
            )
            self._deliveries.invoke(work)

    def unreadable_item(self) -> None:
        """A newer version has written an item into the tasks table that this one cannot tell of."""
        world = self._world
        world.injector.count(Fault.ITEM_UNREADABLE)
        key = Key(Table.TASKS, f"FACT#{world.new_id('fact')}", "FACT")
        world.put(Put(key, {"v": 9, "fact": "OfTheNextVersion", "occurred_at_ms": world.clock.now_ms()}))

    def long_lived_agent(self) -> None:
        """An agent that is no function: it is taken for dead when its heartbeats stay away."""
        world = self._world
        if world.roomy or self._next_beat_ms is not None:
            return
        said = agent_item(LONG_LIVED, "other", ("cpu", "gpu"), 2) | {"HeartbeatSeconds": str(_ALIVE_SECONDS)}
        request = registry.request_of({"RequestType": "Create", "ResourceProperties": said})
        world.long_lived(LONG_LIVED, "other")
        world.queue(queue_of(LONG_LIVED, "other"))
        self._next_beat_ms = world.clock.now_ms()

        def work() -> None:
            registry.apply(request, world.outside.store, lambda: False)

        def over(died: BaseException | None) -> None:
            if isinstance(died, PushlaneError):  # CloudFormation asks again
                registry.apply(request, world.store, lambda: False)
                world.audit.settle()

        self._deliveries.invoke(Invocation("registry", work, over), apart=False)

    def fall_silent(self) -> None:
        """Its heartbeats stay away for a minute."""
        if self._next_beat_ms is not None:
            self._world.injector.count(Fault.HEARTBEATS_LOST)
            self._silent_until_ms = self._world.clock.now_ms() + 60_000

    def recover(self) -> None:
        self._silent_until_ms = 0

    def due(self, now_ms: int) -> list[Callable[[], None]]:
        if self._next_beat_ms is not None and self._next_beat_ms <= now_ms:
            return [self._beat]
        return []

    def next_ms(self) -> int | None:
        return self._next_beat_ms

    def _beat(self) -> None:
        now_ms = self._world.clock.now_ms()
        self._next_beat_ms = now_ms + _BEATS_MS
        if now_ms >= self._silent_until_ms:
            self._producers.say("AgentHeartbeat", {"pool": "other", "agent_id": LONG_LIVED}, task_id="")


def _read(_answer: object) -> None:
    """Nobody looks."""
