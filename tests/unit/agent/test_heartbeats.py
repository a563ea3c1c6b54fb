"""Beats by a virtual clock: who is kept alive, who is not, and what a beat may never do."""

import msgspec
import pytest

from pushlane.agent.heartbeat import Report
from pushlane.agent.lease import LeaseRules, limit_margin_ms
from pushlane.model.attempt import Order
from pushlane.ports import ConditionFailed, Update
from pushlane.testing import AttemptByHand, InMemoryDispatcher, KeptInMemory, Process


class World:
    """One attempt by hand, with a heartbeat."""

    def __init__(self, **watched: object) -> None:
        self.dispatcher = InMemoryDispatcher()
        self.dispatcher.set_policy(task_types={"echo": {"lease_seconds": 9, **watched}})
        self.dispatcher.register(None, agent_id="one", capabilities=("echo",))
        self.task_id = self.dispatcher.submit(retry={"backoff_seconds": 0.1})
        self.dispatcher.run_until_idle()
        self.attempt: AttemptByHand = self.dispatcher.take("one", heartbeat=True)
        self.kept: KeptInMemory = self.dispatcher.heartbeats.of(self.task_id)

    @property
    def now_ms(self) -> int:
        return self.dispatcher.clock.now_ms()

    def stored(self) -> dict[str, object]:
        [item] = self.dispatcher.live_attempts()
        return dict(item.attributes)

    def write(self, **attributes: object) -> None:
        [item] = self.dispatcher.live_attempts()
        self.dispatcher.store.write(Update(item.key, set=attributes))  # type: ignore[arg-type]  # the test's own

    def over_after(self, seconds: int) -> float:
        """When the attempt was taken away, in seconds from now; -1 if it was not."""
        began_ms = self.now_ms
        while self.now_ms < began_ms + seconds * 1_000:
            self.dispatcher.advance(0.5)
            if self.dispatcher.status(self.task_id) != "DISPATCHED":
                return (self.now_ms - began_ms) / 1_000
            if self.dispatcher.sender.next_visible_of("queue/agent/one") is not None:
                return (self.now_ms - began_ms) / 1_000
        return -1


def test_a_living_process_keeps_its_attempt_as_long_as_it_likes() -> None:
    world = World()
    assert world.over_after(300) == -1
    world.attempt.succeed({"done": True})
    world.dispatcher.run_until_idle()
    assert world.dispatcher.result(world.task_id) == {"done": True}
    assert world.dispatcher.heartbeats.next_due_ms() is None


@pytest.mark.parametrize("process", [Process.DEAD, Process.FROZEN])
def test_a_process_that_does_not_beat_is_found_out_within_its_lease(process: Process) -> None:
    world = World()
    world.dispatcher.advance(20)
    world.kept.process = process
    assert 0 < world.over_after(30) <= 9 + 5


def test_a_silent_one_is_given_up_although_its_process_lives() -> None:
    world = World(stall_seconds=20)
    assert 20 <= world.over_after(60) <= 25


def test_a_check_in_is_a_sign_of_the_work() -> None:
    world = World(stall_seconds=20)
    for _ in range(4):
        assert world.over_after(15) == -1
        world.attempt.check_in()
    assert 20 <= world.over_after(60) <= 25


def test_a_thawed_process_finds_its_attempt_lost_and_writes_nothing() -> None:
    world = World()
    world.kept.process = Process.FROZEN
    world.over_after(60)
    world.dispatcher.advance(2)
    second = world.dispatcher.take("one", heartbeat=True)
    before = world.stored()
    world.kept.process = Process.ALIVE
    world.dispatcher.heartbeats.beat_due()
    assert world.kept.heard() == [Report(lost=True)]
    assert world.stored() == before
    assert second.dispatch.epoch == 2
    with pytest.raises(ConditionFailed):
        world.attempt.check_in()


def test_orders_are_heard_once_each() -> None:
    world = World()
    world.write(order="preempt")
    world.dispatcher.advance(10)
    world.write(signals=2)
    world.dispatcher.advance(10)
    assert world.kept.heard() == [Report(order=Order.PREEMPT), Report(order=Order.PREEMPT, signals=2)]
    assert world.kept.heard() == []


def test_no_beat_reaches_beyond_the_end_that_the_router_set() -> None:
    world = World()
    ends_at_ms = world.now_ms + 12_000
    world.write(ends_at_ms=ends_at_ms)
    world.dispatcher.advance(11)
    assert world.stored()["lease_until_ms"] == ends_at_ms


def test_a_beat_does_not_take_back_newer_progress() -> None:
    world = World(stall_seconds=20)
    world.dispatcher.clock.advance(2_500)
    newer_ms = world.now_ms
    world.write(progress_at_ms=newer_ms, lease_until_ms=newer_ms + 9_000)
    world.dispatcher.clock.advance(1_000)
    world.dispatcher.heartbeats.beat_due()
    assert (world.stored()["progress_at_ms"], world.stored()["lease_until_ms"]) == (newer_ms, newer_ms + 9_000)
    assert 20 - 1 <= world.over_after(60) <= 25


def test_an_attempt_that_has_ended_is_not_beaten_for() -> None:
    world = World()
    world.attempt.succeed(nudge=False)
    before = world.stored()
    world.dispatcher.clock.advance(5_000)
    assert world.dispatcher.heartbeats.beat_due() is False
    assert world.stored() == before


RULES = LeaseRules(lease_ms=30_000, stall_ms=100_000, lasts_until_ms=500_000)


@pytest.mark.parametrize(
    ("now_ms", "progress_at_ms", "ends_at_ms", "until_ms"),
    [
        (0, 0, None, 30_000),
        (80_000, 0, None, 100_000),
        (80_000, 60_000, None, 110_000),
        (490_000, 490_000, None, 500_000),
        (0, 0, 20_000, 20_000),
    ],
)
def test_the_lease_is_the_shortest_of_its_rules(
    now_ms: int, progress_at_ms: int, ends_at_ms: int | None, until_ms: int
) -> None:
    rules = msgspec.structs.replace(RULES, ends_at_ms=ends_at_ms)
    assert rules.until(now_ms, progress_at_ms) == until_ms


@pytest.mark.parametrize(("invocation_ms", "margin_ms"), [(900_000, 10_000), (60_000, 10_000), (20_000, 5_000), (0, 0)])
def test_the_margin_before_the_end_fits_the_invocation(invocation_ms: int, margin_ms: int) -> None:
    assert limit_margin_ms(invocation_ms) == margin_ms
