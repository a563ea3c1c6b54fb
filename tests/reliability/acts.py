"""A world's course. First act: everything goes wrong. Then the faults stop, and all must end within a bound of virtual
time, with sweeps. Second act: fresh tasks, no fault but what agents do, and no sweep: messages alone must do.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from msgspec import Struct

from pushlane.ports import Table
from tests.reliability.behaviour import CALM, SECOND_ACT, STORMY, Behaviour
from tests.reliability.broken import Broken, Violation
from tests.reliability.claimers import Claimers
from tests.reliability.deliveries import Deliveries
from tests.reliability.faults import Counts
from tests.reliability.handlers import HELD, INTAKE, RESULTS
from tests.reliability.operators import Operators
from tests.reliability.points import Point, Standing
from tests.reliability.producers import Producers
from tests.reliability.races import Races
from tests.reliability.watchers import Watchers
from tests.reliability.world import World

SWEEP_MS: Final = 60_000
# After the faults have stopped, everything has ended within this much virtual time.
CALM_BOUND_MS: Final = 30 * 60_000
SECOND_BOUND_MS: Final = 30 * 60_000
_STEPS_MAX: Final = 10_000
# How many tasks come in each act; more where there is room for them.
_TASKS: Final = (45, 15)
_TASKS_ROOMY: Final = (200, 20)

Action = Callable[[], None]


class Ran(Struct, frozen=True, kw_only=True):
    """What a world came to."""

    seed: int
    tasks: int
    events: int
    calls: int
    faults: Counts
    violations: list[Violation]
    covered: set[Point]
    errors: list[str]
    log: list[str]
    virtual_ms: int


class Course:
    """One world from its beginning to its end."""

    def __init__(self, seed: int, standing: Standing, points: list[Point], *, tells: bool = False) -> None:
        self.world = World(seed, standing, points)
        self.world.tells = tells
        self.deliveries = Deliveries(self.world)
        self.producers = Producers(self.world, self.deliveries)
        self.operators = Operators(self.world, self.deliveries, self.producers)
        self.watchers = Watchers(self.world, self.deliveries)
        self.claimers = Claimers(self.world, self.deliveries)
        self.world.slips.append(self.slip)
        self.world.races.append(Races(self.world, self.deliveries).before)
        self._tasks = _TASKS_ROOMY if self.world.roomy else _TASKS
        self._sweeps = True
        self._next_sweep_ms = self.world.clock.now_ms() + self.world.chance.between(0, SWEEP_MS)
        self._arrivals: list[tuple[int, int]] = []
        self._steps = 0

    @property
    def broken(self) -> bool:
        return bool(self.world.audit.violations or self.world.invocations.errors)

    def run(self) -> Ran:
        self._first_act()
        if not self.broken:
            self._calm()
        if not self.broken:
            self._second_act()
        if not self.broken:
            self._end()
        self.world.invocations.kill_all()
        return self._ran()

    def slip(self) -> bool:
        """Some other invocation runs now, in the middle of one."""
        frozen = [one for one in self.world.invocations.paused if one.behaviour is Behaviour.FROZEN]
        if frozen and self.world.chance.hit(0.5):
            self.world.invocations.resume(self.world.chance.pick(frozen))  # it thaws just now
            return True
        actions = self._deliverable()
        if actions:
            self.world.chance.pick(actions)()
        return bool(actions)

    def _first_act(self) -> None:
        world, now_ms = self.world, self.world.clock.now_ms()
        world.injector.active = True
        world.loses_messages = world.chance.pick((0.0, 0.01, 0.03))
        self.deliveries.behaviours = STORMY
        lasts_ms = world.chance.pick((20_000, 30_000) if world.roomy else (20_000, 60_000, 150_000))
        self._arrive(self._tasks[0], now_ms, lasts_ms)
        self.operators.plan(now_ms, lasts_ms)
        self._until(lambda: world.clock.now_ms() >= now_ms + lasts_ms + 20_000, now_ms + lasts_ms + 60_000)

    def _calm(self) -> None:
        world = self.world
        world.injector.active = False
        world.loses_messages = 0.0
        world.invocations.gives_way = 0.0
        self.deliveries.behaviours = CALM
        self.operators.restore()
        self.watchers.rest()
        bound_ms = world.clock.now_ms() + CALM_BOUND_MS
        if not self._until(self._over, bound_ms) and not self.broken:
            self._stuck("the faults stopped")

    def _second_act(self) -> None:
        now_ms = self.world.clock.now_ms()
        self._sweeps = False
        self.deliveries.behaviours = SECOND_ACT
        self._arrive(self._tasks[1], now_ms, 15_000)
        if not self._until(self._over, now_ms + SECOND_BOUND_MS) and not self.broken:
            self._stuck("the last tasks came, by messages alone")

    def _stuck(self, since: str) -> None:
        mirror = self.world.audit.mirror
        waiting = [*self.world.audit.unended(), *sorted(mirror.open_workflows), *sorted(mirror.duties)]
        queues = {url: len(q.messages) for url, q in self.world.queues.items() if q.messages}
        said = f"{len(waiting)} tasks have not ended within the bound after {since}: {waiting[:5]}; {queues}"
        self.world.audit.broken(Broken.STUCK, said)

    def _end(self) -> None:
        audit = self.world.audit
        audit.close()
        self.watchers.finish()
        for one in self.producers.sent:
            ref = (one.door.value, one.source_id)
            if not audit.mirror.accepted(one.task_id) and ref not in self.world.quarantined:
                audit.broken(Broken.LOST, f"a submission is nowhere at the end: {one.door}/{one.source_id}")

    def _arrive(self, count: int, from_ms: int, lasts_ms: int) -> None:
        chance = self.world.chance
        while count > 0:
            some = min(count, chance.pick((20, 40) if self.world.roomy else (1, 4, 8, 12)))
            self._arrivals.append((from_ms + chance.between(0, lasts_ms), some))
            count -= some
        self._arrivals.sort(reverse=True)

    def _over(self) -> bool:
        """Nothing is left to do, and nothing on its way that matters."""
        world, audit = self.world, self.world.audit
        mirror = audit.mirror
        if mirror.live or mirror.open_workflows or mirror.duties:
            return False
        if self._arrivals or audit.drifts or world.invocations.paused:
            return False
        if any(world.queues[url].messages for url in (INTAKE, HELD, RESULTS)):
            return False
        if self.deliveries.stream_position < len(self.deliveries.stream_records):
            return False
        return not any(stream.pending for stream in world.streams.values())

    def _until(self, over: Callable[[], bool], bound_ms: int) -> bool:
        """Step until it is over; False when the bound is passed, or nothing will ever happen again."""
        while not self.broken:
            if over():
                return True
            if self.world.clock.now_ms() > bound_ms or not self._step():
                return False
        return False

    def _step(self) -> bool:
        """One thing that can happen now does; else time goes on to the next one."""
        world = self.world
        self._steps += 1
        if self._steps > _STEPS_MAX:
            world.audit.broken(Broken.STUCK, f"{self._steps} steps, and no end")
            return False
        actions = self._possible()
        if actions:
            world.clock.advance(world.chance.between(0, 6))
            world.chance.pick(actions)()
            return True
        next_ms = self._next_ms()
        if next_ms is None:
            return False
        world.clock.advance(max(1, next_ms - world.clock.now_ms()))
        return True

    def _possible(self) -> list[Action]:
        world, now_ms = self.world, self.world.clock.now_ms()
        actions = self._deliverable()
        actions += [partial(world.invocations.resume, one) for one in world.invocations.ready()]
        if self._arrivals and self._arrivals[-1][0] <= now_ms:
            actions.append(lambda: self.producers.submit(self._arrivals.pop()[1]))
        if self._sweeps and self._next_sweep_ms <= now_ms:
            actions.append(self._sweep)
        actions += self.operators.due(now_ms)
        actions += self.watchers.due(now_ms)
        actions += self.claimers.due(now_ms)
        return actions

    def _deliverable(self) -> list[Action]:
        """What may also happen in the middle of an invocation."""
        world, now_ms, deliveries = self.world, self.world.clock.now_ms(), self.deliveries
        actions: list[Action] = []
        for queue in world.queues.values():
            next_ms = queue.next_ms
            if next_ms is not None and next_ms <= now_ms:
                actions.append(partial(deliveries.queue, queue))
        if not deliveries.stream_busy and deliveries.stream_position < len(deliveries.stream_records):
            actions.append(deliveries.kinesis)
        actions += [partial(deliveries.beat, kept) for kept in world.hearts.due()]
        for table in (Table.TASKS, Table.ATTEMPTS):
            stream = world.streams[table]
            for shard in stream.shards:
                if shard.pending and not shard.busy:
                    actions.append(partial(deliveries.lifecycle, stream, shard))
        return actions

    def _sweep(self) -> None:
        often = self.world.injector.active and self.world.seed % 3 == 0  # more of them than there are minutes
        self._next_sweep_ms = self.world.clock.now_ms() + (SWEEP_MS // 6 if often else SWEEP_MS)
        self.deliveries.sweep()

    def _next_ms(self) -> int | None:
        times = [at for queue in self.world.queues.values() if (at := queue.next_ms) is not None]
        world = self.world
        acting = (self.operators.next_ms(), self.watchers.next_ms(), self.claimers.next_ms())
        due = (world.invocations.next_ready_ms(), *acting, world.hearts.next_due_ms())
        times += [at for at in due if at is not None]
        if self._arrivals:
            times.append(self._arrivals[-1][0])
        if self._sweeps:
            times.append(self._next_sweep_ms)
        return min(times, default=None)

    def _ran(self) -> Ran:
        world = self.world
        return Ran(
            seed=world.seed,
            tasks=len(world.audit.mirror.tasks),
            events=world.events,
            calls=world.injector.calls,
            faults=world.injector.counts,
            violations=world.audit.violations,
            covered=world.injector.covered,
            errors=world.invocations.errors,
            log=world.log_lines,
            virtual_ms=world.clock.now_ms(),
        )
