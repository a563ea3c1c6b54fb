"""Dead tasks as an operator reads them, and commands for many of them."""

import itertools
from typing import Any

import pytest

from pushlane.client import NotDead, TaskUnknown
from pushlane.client.dead_orders import order_all, wait_for
from pushlane.client.dead_tasks import DeadTask, DeadTasks, Wanted
from pushlane.client.pace import Pace
from tests.unit.router.dead import Broken


def ids(found: Any) -> list[str]:
    return [one.task_id for one in found]


def test_a_dead_task_is_read_with_payload_error_and_history() -> None:
    world = Broken()
    task_id = world.dispatcher.submit(
        payload={"n": 1}, retry={"max_attempts": 2, "backoff_seconds": 1}, labels={"chain": "digest"}
    )
    world.dispatcher.advance(10)
    one = DeadTasks(world.dispatcher.store).one(task_id)
    assert (one.tenant_id, one.task_type, one.pool, one.tier, one.epoch) == ("atlas", "echo", "default", "normal", 2)
    assert (one.payload_bytes, one.redrives, one.labels) == (len('{"n":1}'), 0, {"chain": "digest"})
    assert one.error_type == "ValueError"
    assert [(attempt.epoch, attempt.agent_id, attempt.type) for attempt in one.history] == [
        (1, "one", "ValueError"),
        (2, "one", "ValueError"),
    ]
    assert one.history[-1].at_ms == one.died_at_ms


def test_dead_tasks_are_found_oldest_first() -> None:
    world = Broken()
    dead = []
    for number in range(5):
        dead.append(world.dead(payload={"n": number}))
        world.dispatcher.advance(1)
    assert ids(DeadTasks(world.dispatcher.store).find(Wanted())) == dead


def test_more_than_one_page_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushlane.client.dead_tasks._PAGE", 3)
    world = Broken()
    dead = [world.dead(payload={"n": number}) for number in range(10)]
    assert sorted(ids(DeadTasks(world.dispatcher.store).find(Wanted()))) == sorted(dead)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(tenant_id="birch"), ["birch"]),
        (Wanted(error="PROVIDER"), ["atlas", "birch"]),
        (Wanted(error="timeout"), []),
        (Wanted(task_type="echo"), ["atlas", "birch"]),
        (Wanted(task_type="other"), []),
        (Wanted(pool="default"), ["atlas", "birch"]),
        (Wanted(pool="other"), []),
    ],
)
def test_only_what_is_meant_is_found(wanted: Wanted, found: list[str]) -> None:
    world = Broken()
    world.dead(tenant_id="atlas")
    world.dead(tenant_id="birch")
    assert [one.tenant_id for one in DeadTasks(world.dispatcher.store).find(wanted)] == found


def test_they_are_counted_by_pool_and_tenant() -> None:
    world = Broken()
    started_ms = world.dispatcher.clock.now_ms()
    for tenant_id in ("atlas", "birch", "atlas"):
        world.dead(tenant_id=tenant_id, payload={"n": world.dispatcher.clock.now_ms()})
        world.dispatcher.advance(1)
    counts = DeadTasks(world.dispatcher.store).counts()
    assert [(one.pool, one.tenant_id, one.tasks) for one in counts] == [
        ("default", "atlas", 2),
        ("default", "birch", 1),
    ]
    assert counts[0].oldest_ms == started_ms


def test_one_that_is_not_dead_or_not_there_is_an_error() -> None:
    world = Broken()
    world.broken = False
    task_id = world.dispatcher.submit()
    world.dispatcher.run_until_idle()
    with pytest.raises(NotDead, match="SUCCEEDED"):
        DeadTasks(world.dispatcher.store).one(task_id)
    with pytest.raises(TaskUnknown):
        DeadTasks(world.dispatcher.store).one("t-none")


def test_commands_go_out_at_the_rate_and_no_task_gets_two() -> None:
    """A task that dies again while commands go out is found again, behind the others."""
    world = Broken()
    task_ids = [world.dead(payload={"n": number}) for number in range(4)]
    paused: list[float] = []
    sent: list[str] = []

    def send(task: DeadTask) -> None:
        world.dispatcher.advance(1)
        world.say("RedriveTask", task.task_id, epoch=task.epoch)
        sent.append(task.task_id)

    found = itertools.chain.from_iterable(DeadTasks(world.dispatcher.store).find(Wanted()) for _ in range(3))
    pace = Pace(2, monotonic=lambda: sum(paused), sleep=paused.append)
    counts: list[int] = []
    ordered = order_all(found, send, limit=None, pace=pace, told=counts.append)
    assert sorted(sent) == sorted(task_ids) == sorted(ids(ordered))
    assert sum(paused) == pytest.approx(1.5)
    assert counts == [1, 2, 3, 4]


class _Waiting:
    """A client over the dispatcher, whose waiting lets the dispatcher work."""

    def __init__(self, world: Broken) -> None:
        self.world = world

    def tasks(self, task_ids: Any) -> Any:
        from pushlane.client.records import record_of
        from pushlane.state.keys import task_key

        found = self.world.dispatcher.store.get([task_key(one) for one in task_ids])
        return {key.pk: record_of(item) for key, item in found.items()}

    def sleep(self, seconds: float) -> None:
        self.world.dispatcher.advance(seconds)

    def monotonic(self) -> float:
        return self.world.dispatcher.clock.now_ms() / 1_000


def test_waiting_says_what_became_of_each() -> None:
    world = Broken()
    good, bad, still = (world.dead(payload={"n": number}) for number in range(3))
    pace = Pace(10, monotonic=lambda: 0.0, sleep=lambda _seconds: None)
    found = list(DeadTasks(world.dispatcher.store).find(Wanted()))
    ordered = order_all(found, lambda _task: None, limit=None, pace=pace, told=lambda _count: None)
    world.dispatcher.advance(1)
    world.say("RedriveTask", bad)
    world.broken = False
    world.say("RedriveTask", good)
    client: Any = _Waiting(world)
    became = wait_for(client, ordered, timeout_seconds=3, monotonic=client.monotonic, sleep=client.sleep)
    assert {one.task_id: (one.status, one.over) for one in became} == {
        good: ("SUCCEEDED", True),
        bad: ("DEAD_LETTERED", True),
        still: ("DEAD_LETTERED", False),
    }
