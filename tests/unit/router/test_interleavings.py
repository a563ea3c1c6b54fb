"""Two turns, one of which commits between the other's snapshot and its commit: nothing is lost, and nothing waits for
the sweep. No time passes in these tests unless they say so, so no wake-up helps either.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from pushlane.agent import TaskContext, agent
from pushlane.agent.runtime import AgentRuntime
from pushlane.model.events import FactName
from pushlane.ports import Key, Message, Put, Table, Update, Write
from pushlane.scheduling.lineup import START_LEASE_MS
from pushlane.state import attempts, keys
from pushlane.testing import InMemoryDispatcher, sqs_event, submit_envelope
from tests.unit.values import an_outcome

AGENT_QUEUE = "queue/agent/one"
RESULTS = "queue/results"
WAKEUPS = "queue/wakeups"
AGENT = keys.agent_key("default", "one")


@agent(task_types=("echo",))
def echo(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"attempt": ctx.attempt}


class Meanwhile:
    """Runs a step once, right before the first transaction that writes an item of which `where` says so."""

    def __init__(self) -> None:
        self.steps: list[Callable[[], object]] = []
        self.where: Callable[[Key], bool] = lambda _key: True

    def slip_in(self, step: Callable[[], object], where: Callable[[Key], bool] = lambda _key: True) -> None:
        self.steps, self.where = [step], where

    def before(self, name: str, operations: Sequence[Write]) -> None:
        if name == "transact" and self.steps and any(self.where(one.key) for one in operations):
            self.steps.pop()()

    def after(self, name: str, operations: Sequence[Write]) -> None:
        """Nothing happens."""


class World(InMemoryDispatcher):
    """A dispatcher with one agent, into whose transactions a step can be slipped."""

    def __init__(self, slots: int = 1) -> None:
        self.meanwhile = Meanwhile()
        super().__init__(faults=self.meanwhile)
        self.register(echo, agent_id="one", slots=slots)

    def arrives(self, message_id: str) -> dict[str, Any]:
        """A submission comes in; every router is another Lambda environment, with nothing in its memory."""
        event = sqs_event("intake", [(message_id, json.dumps(submit_envelope()))])
        return self.new_router().handle(event)

    def finishes(self) -> Message:
        """The pushed attempt runs; its nudge, not yet delivered."""
        self._deliver_agent(AGENT_QUEUE)
        [nudge] = self.sender.drain(RESULTS)
        return nudge

    def told(self, nudge: Message) -> dict[str, Any]:
        return self.new_router().handle(sqs_event(RESULTS, [("n", nudge.body)]))

    def all_statuses(self) -> list[object]:
        return [item.attributes["status"] for item in self.store.items(Table.TASKS) if item.key.sk == "TASK"]

    def all_done(self, count: int) -> None:
        """Everything that is ready runs now, without time, without the sweep."""
        self.run_until_idle()
        assert self.all_statuses() == ["SUCCEEDED"] * count
        assert (self.used("one"), self.live_attempts()) == (0, [])


def test_a_task_that_parks_while_the_slot_it_saw_taken_is_freed_is_dispatched_at_once() -> None:
    world = World()
    world.arrives("m1")
    nudge = world.finishes()
    world.meanwhile.slip_in(lambda: world.told(nudge))
    world.arrives("m2")
    assert world.meanwhile.steps == []
    assert sorted(map(str, world.all_statuses())) == ["DISPATCHED", "SUCCEEDED"]
    world.all_done(2)


def test_a_slot_that_is_freed_while_a_task_parks_is_given_to_it_at_once() -> None:
    world = World()
    world.arrives("m1")
    nudge = world.finishes()
    world.meanwhile.slip_in(lambda: world.arrives("m2"))
    world.told(nudge)
    assert world.meanwhile.steps == []
    assert sorted(map(str, world.all_statuses())) == ["DISPATCHED", "SUCCEEDED"]
    world.all_done(2)


def test_a_task_that_parks_in_a_lane_that_is_being_emptied_stays_visible() -> None:
    world = World()
    for message_id in ("m1", "m2"):
        world.arrives(message_id)
    nudge = world.finishes()
    world.meanwhile.slip_in(lambda: world.arrives("m3"))
    world.told(nudge)
    assert world.meanwhile.steps == []
    world.all_done(3)


def test_a_lane_that_was_emptied_meanwhile_is_opened_again_by_what_parks() -> None:
    world = World()
    for message_id in ("m1", "m2"):
        world.arrives(message_id)
    nudge = world.finishes()
    world.meanwhile.slip_in(lambda: world.told(nudge), lambda key: key.pk.startswith("LANES#"))
    world.arrives("m3")
    assert world.meanwhile.steps == []
    world.all_done(3)


def test_two_turns_that_take_the_same_waiting_task_dispatch_it_once() -> None:
    world = World(slots=3)
    world.store.write(Update(AGENT, set={"slots": 0}))
    for message_id in ("m1", "m2"):
        world.arrives(message_id)
    world.store.write(Update(AGENT, set={"slots": 3}))
    world.meanwhile.slip_in(world.sweep)
    world.sweep()
    pushed = world.sender.drain(AGENT_QUEUE)
    assert len({message.body for message in pushed}) == len(pushed) == 2 == world.used("one")
    world.sender.send(AGENT_QUEUE, pushed)
    world.all_done(2)


@pytest.mark.parametrize("change", [{"slots": 0}, {"used": 2}, {"status": "DRAINING"}], ids=str)
def test_an_agent_that_shrinks_fills_or_drains_meanwhile_is_not_given_the_task(change: dict[str, Any]) -> None:
    world = World(slots=2)
    world.meanwhile.slip_in(lambda: world.store.write(Update(AGENT, set=change)))
    world.arrives("m1")
    assert world.all_statuses() == ["PARKED"]
    assert world.sender.drain(AGENT_QUEUE) == []


def test_an_attempt_that_finishes_in_the_very_millisecond_of_its_reclaim_is_not_reclaimed() -> None:
    world = World()
    world.arrives("m1")
    [item] = world.live_attempts()
    now_ms = world.clock.now_ms()
    lease_ms = now_ms + 1_000
    world.store.write(attempts.start(item.key, 1, "call", now_ms, lease_ms))
    world.clock.advance(1_000)
    outcome = an_outcome(result={"finished": "in time"}, started_at_ms=now_ms, finished_at_ms=lease_ms)
    world.meanwhile.slip_in(lambda: world.store.write(attempts.finish(item.key, 1, "call", outcome, lease_ms)))
    world.sweep()
    world.sweep()
    assert world.all_statuses() == ["SUCCEEDED"]
    assert world.used("one") == 0


def test_an_attempt_that_checks_in_while_it_is_reclaimed_goes_on() -> None:
    world = World()
    world.arrives("m1")
    [item] = world.live_attempts()
    now_ms = world.clock.now_ms()
    world.store.write(attempts.start(item.key, 1, "call", now_ms, now_ms + 1_000))
    world.clock.advance(1_001)
    world.meanwhile.slip_in(lambda: world.store.write(attempts.check_in(item.key, 1, "call", now_ms + 9_000, {})))
    world.sweep()
    assert world.all_statuses() == ["DISPATCHED"]
    assert [one.key for one in world.live_attempts()] == [item.key]


def test_an_attempt_that_starts_while_it_is_pushed_again_is_not_counted_as_pushed() -> None:
    world = World()
    world.arrives("m1")
    [message] = world.sender.drain(AGENT_QUEUE)
    world.clock.advance(START_LEASE_MS)
    world.meanwhile.slip_in(lambda: AgentRuntime(echo, world.agent_ports()).run(message.body, 60_000))
    world.sweep()
    assert world.sender.drain(AGENT_QUEUE) == []
    world.all_done(1)


def test_a_failed_attempt_is_delayed_and_due_without_the_sweep() -> None:
    world = World()

    @agent(task_types=("echo",))
    def fails_once(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        if ctx.attempt == 1:
            raise RuntimeError("as ordered")
        return {}

    world.register(fails_once, agent_id="one")
    world.arrives("m1")
    world.run_until_idle()
    assert world.all_statuses() == ["RETRYING"]
    assert len(world.store.query(Table.SCHEDULER, keys.delayed_pk("default"), limit=10)) == 1
    world.advance(2)
    world.all_done(1)


def test_a_wake_up_is_on_its_way_before_the_commit_that_leans_on_it() -> None:
    world = World()
    seen: list[int | None] = []
    world.meanwhile.slip_in(lambda: seen.append(world.sender.next_visible_of(WAKEUPS)))
    world.arrives("m1")
    assert seen == [world.clock.now_ms() + START_LEASE_MS]


def test_a_wake_up_queue_that_refuses_means_that_nothing_is_committed() -> None:
    world = World()
    world.sender._refuse = lambda url, _message: url == WAKEUPS
    assert world.arrives("m1") == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert (world.all_statuses(), world.used("one")) == ([], 0)


def test_of_two_turns_that_arm_a_wake_up_one_is_recorded() -> None:
    world = World(slots=2)
    world.meanwhile.slip_in(lambda: world.arrives("m1"))
    world.arrives("m2")
    recorded = world.store.get([keys.wake_key("default")])[keys.wake_key("default")].attributes
    assert recorded == {"generation": 1, "due_ms": world.clock.now_ms() + START_LEASE_MS}
    assert world.used("one") == 2


def test_a_submission_that_two_routers_take_at_once_is_one_task() -> None:
    world = World(slots=2)
    world.meanwhile.slip_in(lambda: world.arrives("m1"))
    assert world.arrives("m1") == {"batchItemFailures": []}
    assert (world.used("one"), len(world.live_attempts())) == (1, 1)
    world.all_done(1)
    accepted = [fact for fact in world.facts if fact.metadata.name is FactName.TASK_ACCEPTED]
    assert len(accepted) == 1


def test_a_repair_made_between_a_snapshot_and_its_commit_holds() -> None:
    world = World(slots=2)
    world.store.write(Put(AGENT, {**world.store.get([AGENT])[AGENT].attributes, "used": 1}))
    world.meanwhile.slip_in(world.sweep)
    world.arrives("m1")
    assert world.used("one") == 1 == len(world.live_attempts())
    world.all_done(1)


def test_a_push_that_is_delivered_again_while_it_runs_is_executed_once() -> None:
    world = World()
    runs: list[int] = []

    @agent(task_types=("echo",))
    def slow(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        runs.append(ctx.attempt)
        if len(runs) == 1:
            AgentRuntime(slow, world.agent_ports()).run(message.body, 60_000)
        return {}

    world.arrives("m1")
    [message] = world.sender.drain(AGENT_QUEUE)
    AgentRuntime(slow, world.agent_ports()).run(message.body, 60_000)
    assert runs == [1]
    world.all_done(1)
