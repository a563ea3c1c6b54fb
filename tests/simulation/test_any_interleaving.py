"""Any policy, any arrivals, any agents, in any order: nothing exceeded, nothing lost, nothing leaked, no slot idle.

What is checked after every transaction stands in `World`; that no slot is idle, whenever no message is left; and at
the end, when nothing arrives any more, that every task has ended once and nothing is left of it.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from pushlane.model.agent import Agent
from pushlane.model.policy import Policy
from pushlane.testing.deliveries import INTAKE, RESULTS, WAKEUPS
from tests.simulation.chances import POOLS, RESOURCES, TENANTS, a_policy, a_submission, some_agents
from tests.simulation.runnable import left_idle
from tests.simulation.world import World

pytestmark = pytest.mark.long

ENDS = ("succeeded", "succeeded", "failed", "silent")


def by_draw(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Any:
    return lambda options: draw(st.sampled_from(tuple(options)))


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    return a_policy(by_draw(draw))


@st.composite
def pools_of_agents(draw: st.DrawFn) -> list[Agent]:
    return some_agents(by_draw(draw))


def settle(world: World) -> None:
    world.run_until_idle()
    idle = left_idle(world)
    assert not idle, f"a slot is idle beside {idle}"


def close(world: World) -> None:
    settle(world)
    world.finish_everything()
    world.check_nothing_is_left()


def work(world: World, ends: Sequence[str], tokens: int | None = None) -> None:
    """What was pushed is started, and some of what runs ends."""
    settle(world)
    for dispatch in world.pushed:
        world.start(dispatch)
    world.pushed.clear()
    for end, one in zip(ends, list(world.running), strict=False):
        world.running.remove(one)
        if end != "silent":
            world.finish(one, world.outcome(one, end, tokens))


def end_first(world: World) -> bool:
    if not world.running:
        return False
    one = world.running.pop(0)
    return world.finish(one, world.outcome(one, "succeeded"))


class Storm:
    """A long day in a world, decided by one number."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.world = World(a_policy(self.rng.choice), some_agents(self.rng.choice), TENANTS)

    def rage(self, steps: int) -> None:
        for _ in range(steps):
            self.rng.choice((self.arrive, self.arrive, self.work, self.work, self.oddity, self.pass_time))()
            self.yields()
        close(self.world)

    def arrive(self) -> None:
        now_ms = self.world.clock.now_ms()
        alike = a_submission(self.rng.choice, now_ms) if self.rng.random() < 0.3 else {}
        for _ in range(self.rng.choice((1, 3, 8))):
            self.world.submit(**(a_submission(self.rng.choice, now_ms) | alike))
        if self.rng.random() < 0.5:
            settle(self.world)

    def work(self) -> None:
        self.rng.shuffle(self.world.running)
        ends = [self.rng.choice(ENDS) for _ in range(self.rng.choice((0, 2, 6)))]
        work(self.world, ends, self.rng.choice((None, 5, 90, 250)))

    def yields(self) -> None:
        asked = self.world.ordered()
        for one in self.rng.sample(asked, self.rng.randint(0, len(asked))):
            self.world.running.remove(one)
            self.world.finish(one, self.world.outcome(one, "yielded"), self.rng.choice((0, 1, 1, 2)))

    def pass_time(self) -> None:
        settle(self.world)
        self.world.advance(self.rng.choice((0.3, 2, 11, 31, 70)))
        settle(self.world)

    def steps(self) -> dict[str, Callable[[], object]]:
        """What may happen while a turn is between its snapshot and its commit, by the queue that tells of it."""
        burst = [a_submission(self.rng.choice, self.world.clock.now_ms()) for _ in range(3)]
        pool = self.rng.choice(POOLS)
        return {
            INTAKE: lambda: [self.world.submit(**data) for data in burst],
            RESULTS: lambda: [end_first(self.world) for _ in range(2)],
            WAKEUPS: lambda: self.world.wake(pool),
        }

    def oddity(self) -> None:
        world, rng = self.world, self.rng
        world.faults.conflicts = rng.choice((0, 1, 2))
        for queue, step in rng.sample(list(self.steps().items()), rng.choice((0, 1, 3))):
            world.slip_in(step, queue)
        if world.pushed:
            dispatch = world.pushed.pop()  # lost, or delivered twice
            assert rng.random() < 0.5 or not (world.start(dispatch) and world.start(dispatch))
        if world.running and rng.random() < 0.5:
            one, resource = world.running.pop(), rng.choice(RESOURCES)
            world.finish(one, world.outcome(one, "throttled", resource=resource, pause_s=rng.choice((3, 20))))
        if world.running and rng.random() < 0.3:
            one = world.running.pop()
            world.finish(one, world.outcome(one, "succeeded", 0), nudges=0)
        if world.ended and rng.random() < 0.3:
            world.sender.send(RESULTS, [rng.choice(world.ended)])


@pytest.mark.parametrize("seed", range(30))
def test_a_storm_exceeds_nothing_loses_nothing_leaks_nothing_and_leaves_no_slot_idle(seed: int) -> None:
    print(f"replay: Storm({seed}).rage(40)")  # shown when it fails
    Storm(seed).rage(40)


class Interleavings(RuleBasedStateMachine):
    """The same world step by step, so that a failure shrinks to few of them."""

    @initialize(policy=policies(), agents=pools_of_agents())
    def build(self, policy: Policy, agents: list[Agent]) -> None:
        self.world = World(policy, agents, TENANTS)

    @rule(data=st.data(), count=st.integers(1, 8))
    def tasks_arrive(self, data: st.DataObject, count: int) -> None:
        for _ in range(count):
            self.world.submit(**a_submission(by_draw(data.draw), self.world.clock.now_ms()))

    @rule(ends=st.lists(st.sampled_from(ENDS), max_size=5))
    def agents_work(self, ends: list[str]) -> None:
        work(self.world, ends)

    @rule(seconds=st.sampled_from((0.3, 2, 11, 31, 70)))
    def time_passes(self, seconds: float) -> None:
        settle(self.world)
        self.world.advance(seconds)
        settle(self.world)

    @precondition(lambda self: self.world.pushed)
    @rule(started=st.booleans())
    def a_push_is_lost_or_comes_twice(self, started: bool) -> None:
        dispatch = self.world.pushed.pop(0)
        assert not (started and self.world.start(dispatch) and self.world.start(dispatch))

    @precondition(lambda self: self.world.running)
    @rule(
        kind=st.sampled_from(("succeeded", "failed")),
        tokens=st.sampled_from((None, 5, 250)),
        nudges=st.sampled_from((1, 0, 2)),
    )
    def an_attempt_ends(self, kind: str, tokens: int | None, nudges: int) -> None:
        one = self.world.running.pop(0)
        self.world.finish(one, self.world.outcome(one, kind, tokens), nudges)

    @precondition(lambda self: self.world.running)
    @rule(resource=st.sampled_from(RESOURCES), pause_s=st.sampled_from((3, 20)))
    def a_provider_refuses(self, resource: str, pause_s: int) -> None:
        one = self.world.running.pop(0)
        self.world.finish(one, self.world.outcome(one, "throttled", resource=resource, pause_s=pause_s))

    @precondition(lambda self: self.world.ordered())
    @rule(nudges=st.sampled_from((1, 2, 0)))
    def an_ordered_attempt_yields(self, nudges: int) -> None:
        one = self.world.ordered()[0]
        self.world.running.remove(one)
        self.world.finish(one, self.world.outcome(one, "yielded"), nudges)

    @precondition(lambda self: self.world.ended)
    @rule()
    def an_old_nudge_comes_again(self) -> None:
        self.world.sender.send(RESULTS, self.world.ended[:1])

    @rule(data=st.data(), conflicts=st.sampled_from((0, 1, 2)))
    def another_router_takes_a_task_in_between(self, data: st.DataObject, conflicts: int) -> None:
        task = a_submission(by_draw(data.draw), self.world.clock.now_ms())
        self.world.slip_in(lambda: self.world.submit(**task), INTAKE)
        self.world.faults.conflicts = conflicts

    @rule(pool=st.sampled_from(POOLS))
    def another_router_is_woken_in_between(self, pool: str) -> None:
        self.world.slip_in(lambda: self.world.wake(pool), WAKEUPS)

    @rule()
    def an_attempt_ends_in_between(self) -> None:
        self.world.slip_in(lambda: end_first(self.world), RESULTS)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            note("replay: the steps above in this order; they are all there is to it")
            close(self.world)


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
