"""Delivering: what the platform does between queues, streams and handlers, and what goes wrong on the way."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.agent.heartbeat.beats import Watch
from pushlane.agent.heartbeat.inmemory import KeptInMemory, Process
from pushlane.router.lifecycle import publish_changes
from pushlane.router.sweep import sweep
from pushlane.testing.events import kinesis_event, sqs_event
from tests.reliability.behaviour import GOES_ON, LASTING, Behaviour
from tests.reliability.broken import Broken
from tests.reliability.faults import Fault
from tests.reliability.handlers import (
    AGENTS,
    EVENTS,
    HELD,
    INTAKE,
    RouterEnvironment,
    agent_runtime,
    lifecycle_ports,
)
from tests.reliability.hearts import beat
from tests.reliability.invocations import Invocation
from tests.reliability.queues import Queue, Queued
from tests.reliability.strands import Crashed
from tests.reliability.streams import Shard, Stream
from tests.reliability.tasks import Submission
from tests.reliability.world import World

ROUTER_VISIBILITY_MS: Final = 45_000
AGENT_VISIBILITY_MS: Final = 45_000
AGENT_TIMEOUT_MS: Final = 15_000
_BATCHES: Final = (10, 10, 10, 4, 1)
_DUPLICATED: Final = 0.08
_REORDERED: Final = 0.2
_DROPPED: Final = 0.04
_APART: Final = 0.25
_CRASHED_PROCESS_IS_GONE: Final = 0.6


class _Push(Struct, frozen=True):
    task_id: str


_push_decoder = msgspec.json.Decoder(_Push)


class Deliveries:
    """Of one world. `behaviours`: what agents do now, by weight."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.behaviours: tuple[tuple[Behaviour, float], ...] = ()
        self._courses: dict[str, Behaviour] = {}  # how a task that went on later went on
        self.stream_records: list[Submission] = []
        self.stream_position = 0
        self.stream_busy = False

    @property
    def stormy(self) -> bool:
        return self.world.injector.active

    def queue(self, queue: Queue) -> None:
        """Deliver a batch of a queue to its consumer."""
        world = self.world
        agent = queue.url.startswith(AGENTS)
        shuffled = self.stormy and world.chance.hit(_REORDERED)
        limit = 1 if agent else world.chance.pick(_BATCHES)
        batch = queue.take(world.clock.now_ms(), limit, world.chance, shuffled=shuffled)
        if shuffled and batch and batch[0].order != min(one.order for one in queue.messages.values()):
            world.injector.count(Fault.REORDERED)
        visibility_ms = AGENT_VISIBILITY_MS if agent else ROUTER_VISIBILITY_MS
        queue.hide(batch, world.clock.now_ms() + visibility_ms)
        for one in batch:
            one.receives += 1
        if self.stormy and world.chance.hit(_DROPPED):
            world.injector.count(Fault.DROPPED)
        elif agent:
            self._to_agent(queue, batch[0])
        elif queue.url == EVENTS:
            self._to_streamer(queue, batch)
        else:
            self._to_router(queue, batch)

    def at_once(self, queue: Queue, message_id: str) -> None:
        """Deliver one message of the router's to it alone, before all others."""
        message = queue.messages[message_id]
        queue.hide([message], self.world.clock.now_ms() + ROUTER_VISIBILITY_MS)
        message.receives += 1
        self._to_router(queue, [message])

    def _kept(self, batch: list[Queued]) -> set[str]:
        """Messages that are delivered once more although they were handled."""
        if not self.stormy or not self.world.chance.hit(_DUPLICATED):
            return set()
        again = self.world.chance.some(batch)
        self.world.injector.count(Fault.DUPLICATED, len(again))
        return {one.message_id for one in again}

    def _to_router(self, queue: Queue, batch: list[Queued]) -> None:
        world = self.world
        event = sqs_event(queue.url, [(one.message_id, one.body) for one in batch])
        twice = self._kept(batch)
        held_before = dict(world.held) if queue.url == HELD else {}

        def answered(failed: set[str] | None) -> None:
            now_ms = world.clock.now_ms()
            if failed is None:
                queue.show([one.message_id for one in batch], now_ms + world.chance.pick((2_000, ROUTER_VISIBILITY_MS)))
                return
            taken = [one for one in batch if one.message_id not in failed]
            if queue.url in (INTAKE, HELD):
                self._acknowledged(queue, taken, held_before)
            queue.remove([one.message_id for one in taken if one.message_id not in twice])
            queue.show(twice, now_ms + world.chance.pick((0, 500, 4_000)))  # what failed, when nobody sees to it

        self._route(event, f"router/{queue.url}", answered)

    def _route(self, event: Mapping[str, Any], name: str, answered: Any) -> None:
        """One invocation of a router; `answered` gets the items to deliver again, None when it died."""
        world = self.world
        environment = world.environment()
        environment.busy = True
        self._note_memory(environment)
        failed: set[str] = set()

        def work() -> None:
            answer = environment.router.handle(event)
            failed.update(one["itemIdentifier"] for one in answer["batchItemFailures"])

        def over(died: BaseException | None) -> None:
            environment.busy = False
            environment.seen = world.commits
            if died is not None and world.chance.hit(_CRASHED_PROCESS_IS_GONE):
                world.forget(environment)
            answered(None if died is not None else failed)

        self.invoke(Invocation(name, work, over, ends_ms=self._router_ends_ms()))

    def _router_ends_ms(self) -> int | None:
        """Mostly the platform's time limit holds; a frozen environment knows no time."""
        return self.world.clock.now_ms() + 30_000 if self.world.chance.hit(0.8) else None

    def _note_memory(self, environment: RouterEnvironment) -> None:
        if self.stormy and environment.seen and environment.seen < self.world.commits:
            self.world.injector.count(Fault.STALE_MEMORY)

    def invoke(self, one: Invocation, *, apart: bool | None = None) -> None:
        if apart is None:
            apart = self.stormy and self.world.chance.hit(_APART)
        self.world.events += 1
        self.world.invocations.run(one, apart=apart)

    def _acknowledged(self, queue: Queue, taken: list[Queued], held_before: dict[tuple[str, str], int]) -> None:
        """What the router has taken is a task, or is kept with a reason, or steps aside for a while."""
        world = self.world
        for message in taken:
            said = world.submitted.get(message.message_id) if queue.url == INTAKE else self._held(message)
            if said is not None and not self._known(said, held_before):
                world.audit.broken(Broken.LOST, f"a submission was taken and is nowhere: {said.door}/{said.source_id}")

    def _known(self, said: Submission, held_before: dict[tuple[str, str], int]) -> bool:
        world, ref = self.world, (said.door.value, said.source_id)
        accepted = world.audit.mirror.accepted(said.task_id)
        return accepted or ref in world.quarantined or world.held.get(ref, 0) > held_before.get(ref, 0)

    def _held(self, message: Queued) -> Submission | None:
        held = msgspec.json.decode(message.body)
        return self.world.by_source.get((held["door"], held["source_id"]))

    def _to_agent(self, queue: Queue, message: Queued) -> None:
        world = self.world
        agent = next(one for one in world.agents if queue.url.endswith(f"/{one.agent_id}"))
        behaviour = self._behaviour(message.body)
        world.injector.count(Fault.CLOCK_SKEWED, int(self.stormy and agent.skew_ms != 0))
        twice = message.message_id in self._kept([message])
        runtime = agent_runtime(world.outside, world, _Heartbeat(world), agent.skew_ms)
        timeout_ms = world.chance.pick((5_000, AGENT_TIMEOUT_MS))

        def over(died: BaseException | None) -> None:
            if died is not None and one.heart is not None:
                one.heart.process = Process.DEAD
            if died is None and not twice:
                queue.remove([message.message_id])
            else:
                queue.show([message.message_id], world.clock.now_ms() + world.chance.pick((100, 2_000, 20_000)))

        one = Invocation(
            f"agent/{agent.agent_id}/{behaviour}",
            lambda: _ran(runtime.run(message.body, timeout_ms)),
            over,
            behaviour=behaviour,
            ends_ms=world.clock.now_ms() + timeout_ms,
        )
        one.call_id = world.new_id("call")
        one.task_id = _push_decoder.decode(message.body).task_id
        self.invoke(one, apart=behaviour in LASTING or (self.stormy and world.chance.hit(_APART)))

    def _behaviour(self, body: str) -> Behaviour:
        """What the agent does with this attempt: what it did before, mostly, when it goes on from there."""
        task_id = _push_decoder.decode(body).task_id
        before = self._courses.get(task_id)
        if before is not None and self.world.chance.hit(0.8):
            return before
        chosen = self.world.chance.weighted(self.behaviours)
        if chosen in GOES_ON:
            self._courses[task_id] = chosen
        return chosen

    def _to_streamer(self, queue: Queue, batch: list[Queued]) -> None:
        world = self.world
        event = sqs_event(queue.url, [(one.message_id, one.body) for one in batch])
        failed: set[str] = set()

        def work() -> None:
            failed.update(one["itemIdentifier"] for one in world.streamer.handle(event)["batchItemFailures"])

        def over(died: BaseException | None) -> None:
            if died is None:
                queue.remove([one.message_id for one in batch if one.message_id not in failed])

        self.invoke(Invocation("streamer", work, over), apart=False)

    def beat(self, kept: KeptInMemory) -> None:
        """A heartbeat extends a lease; it may die at it, and the attempt loses its heart."""
        world = self.world

        def over(died: BaseException | None) -> None:
            if isinstance(died, Crashed):
                kept.process = Process.DEAD

        self.invoke(Invocation("heartbeat", lambda: beat(kept, world.outside.store, world.clock), over), apart=False)

    def kinesis(self) -> None:
        """The stream's next batch: all of it, or all of it again."""
        world = self.world
        first = self.stream_position
        batch = self.stream_records[first : first + world.chance.between(1, 10)]
        records = [(one.source_id.partition(":")[2], one.body.encode()) for one in batch]
        event = kinesis_event("stream/submissions", records)
        self.stream_busy = True
        again = self.stormy and world.chance.hit(_DUPLICATED)
        world.injector.count(Fault.DUPLICATED, len(batch) if again else 0)

        def answered(failed: set[str] | None) -> None:
            self.stream_busy = False
            if failed is not None:
                for one in batch:
                    if not self._known(one, {}):
                        world.audit.broken(Broken.LOST, f"a record was taken and is nowhere: {one.source_id}")
                self.stream_position += 0 if again else len(batch)

        self._route(event, "router/kinesis", answered)

    def lifecycle(self, stream: Stream, shard: Shard) -> None:
        """A batch of a table's changes to the lifecycle."""
        world = self.world
        batch = shard.batch(world.chance.pick((1, 10, 50)))
        again = self.stormy and world.chance.hit(_DUPLICATED)
        world.injector.count(Fault.DUPLICATED, int(again))
        shard.busy = True

        def over(died: BaseException | None) -> None:
            shard.busy = False
            if died is None and not again:
                shard.done(len(batch))

        ports = lifecycle_ports(world.outside)
        work = Invocation(f"lifecycle/{stream.table}", lambda: _ran(publish_changes(ports, batch)), over)
        self.invoke(work)

    def sweep(self) -> None:
        """Once a minute; it dies like any other."""
        world = self.world
        pusher = world.environment().pusher
        work = Invocation("sweep", lambda: _ran(sweep(world.sweeper, pusher, world.outside.log)), lambda _died: None)
        self.invoke(work)


class _Heartbeat:
    """Binds an attempt's heart to the invocation that runs it."""

    def __init__(self, world: World) -> None:
        self._world = world

    def keep(self, watch: Watch) -> KeptInMemory:
        kept = self._world.hearts.keep(watch)
        self._world.invocations.current.heart = kept
        return kept


def _ran(_answer: object) -> None:
    """What the handler answers is not needed."""
