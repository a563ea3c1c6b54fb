"""Schedules end to end in one process: fired once each, missed by their own rule, safe when a change breaks off."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from pushlane.agent import TaskContext, agent
from pushlane.model.errors import StoreUnavailable
from pushlane.model.ids import digest, keyed_task_id
from pushlane.model.schedule import Fires, ScheduleData, check_schedule, firing_key, schedule_id_of
from pushlane.model.workflow import keyed_workflow_id
from pushlane.ports import Message, ScheduleEntry, Update
from pushlane.router.app import Router
from pushlane.router.schedules import ScheduleContended, settle, settle_unfinished
from pushlane.state import keys
from pushlane.state.items import to_json
from pushlane.state.schedules import (
    Schedule,
    delete_operations,
    list_schedules,
    load_schedule,
    put_operations,
    unapplied,
)
from pushlane.state.workflows import load_row
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.deliveries import WAKEUPS

MINUTE_MS = 60_000


@agent(task_types=("report",))
def reporter(ctx: TaskContext, payload: dict[str, Any]) -> dict[str, Any]:
    return {"for": payload.get("at")}


@pytest.fixture
def world() -> InMemoryDispatcher:
    dispatcher = InMemoryDispatcher(tenants=("atlas", "borealis"))
    dispatcher.register(reporter, agent_id="one", slots=4)
    return dispatcher


def stored(world: InMemoryDispatcher, data: Mapping[str, Any], tenant_id: str = "atlas") -> Schedule:
    """A schedule made as the API makes it."""
    said = msgspec.convert({"name": "nightly", "task": {"task_type": "report"}, **data}, ScheduleData)
    now_ms = world.clock.now_ms()
    check_schedule(said, now_ms)
    schedule_id = schedule_id_of(tenant_id, said.name)
    before = load_schedule(world.store, schedule_id)
    made = Schedule(
        schedule_id=schedule_id,
        tenant_id=tenant_id,
        revision=1 if before is None else before.revision + 1,
        change_id=digest(schedule_id, str(now_ms), str(before and before.revision)),
        created_at_ms=now_ms,
        changed_at_ms=now_ms,
        data=said,
    )
    world.store.transact(put_operations(before, made, "here"), made.change_id)
    settle(world.store, world.schedules, schedule_id, made.change_id)
    return made


def tasks_of(world: InMemoryDispatcher, schedule: Schedule, due: list[int]) -> list[str]:
    """The states of the tasks of these firings; those that were not submitted are left out."""
    ids = [keyed_task_id(schedule.tenant_id, firing_key(schedule.schedule_id, at)) for at in due]
    found = world.store.get([keys.task_key(one) for one in ids])
    return [str(found[keys.task_key(one)].attributes["status"]) for one in ids if keys.task_key(one) in found]


def due_of(schedule: Schedule, start_ms: int, count: int) -> list[int]:
    times: list[int] = []
    at: int | None = start_ms
    while len(times) < count and (at := schedule.next_after(at or 0)) is not None:
        times.append(at)
    return times


def fire(world: InMemoryDispatcher, schedule: Schedule, due_ms: int, *, said: str | None = None) -> None:
    fires = Fires(schedule_id=schedule.schedule_id, scheduled_at=said or _iso(due_ms))
    world.sender.send(WAKEUPS, [Message(to_json(fires))])
    world.run_until_idle()


def _iso(time_ms: int) -> str:
    from pushlane.model.schedule import iso_time

    return iso_time(time_ms)


def facts(world: InMemoryDispatcher, name: str) -> list[dict[str, Any]]:
    return [msgspec.json.decode(one.body)["data"] for one in world.sink.published if one.name == name]


def test_every_firing_is_one_task(world: InMemoryDispatcher) -> None:
    schedule = stored(
        world, {"expression": "rate(5 minutes)", "task": {"task_type": "report", "payload": {"at": "$scheduled_at"}}}
    )
    due = due_of(schedule, world.clock.now_ms(), 3)
    world.advance(15 * 60)
    assert tasks_of(world, schedule, due) == ["SUCCEEDED"] * 3
    task_id = keyed_task_id("atlas", firing_key(schedule.schedule_id, due[0]))
    assert world.result(task_id) == {"for": _iso(due[0])}
    world.publish()
    fired = facts(world, "ScheduleFired")
    assert [one["scheduled_at_ms"] for one in fired] == due
    assert {one["schedule_id"] for one in fired} == {schedule.schedule_id}


def test_a_firing_delivered_again_is_the_same_task(world: InMemoryDispatcher) -> None:
    schedule = stored(world, {"expression": "rate(5 minutes)"})
    due_ms = due_of(schedule, world.clock.now_ms(), 1)[0]
    world.clock.advance(due_ms - world.clock.now_ms())
    for _ in range(3):
        fire(world, schedule, due_ms)
    world.publish()
    assert len(facts(world, "TaskAccepted")) == 1
    assert len(facts(world, "ScheduleFired")) == 1


def test_a_firing_delivered_again_after_a_change_is_still_the_first(world: InMemoryDispatcher) -> None:
    schedule = stored(world, {"expression": "rate(5 minutes)"})
    due_ms = due_of(schedule, world.clock.now_ms(), 1)[0]
    world.clock.advance(due_ms - world.clock.now_ms())
    fire(world, schedule, due_ms)
    changed = stored(world, {"expression": "rate(5 minutes)", "task": {"task_type": "report", "payload": {"other": 1}}})
    fire(world, changed, due_ms)
    world.publish()
    assert len(facts(world, "TaskAccepted")) == 1
    assert facts(world, "TaskRejected") == []


def test_a_time_that_nobody_put_in_is_that_of_the_message(world: InMemoryDispatcher) -> None:
    schedule = stored(world, {"expression": "cron(0/5 * * * ? *)"})
    due_ms = due_of(schedule, world.clock.now_ms(), 1)[0]
    world.clock.advance(due_ms + 7_000 - world.clock.now_ms())
    body = to_json(Fires(schedule_id=schedule.schedule_id, scheduled_at="<aws.scheduler.scheduled-time>"))
    sent = {"SentTimestamp": str(due_ms + 6_500)}
    record = {"messageId": "m-1", "body": body, "attributes": sent, "eventSource": "aws:sqs", "eventSourceARN": WAKEUPS}
    assert world.router.handle({"Records": [record]}) == {"batchItemFailures": []}
    assert tasks_of(world, schedule, [due_ms]) != []


@pytest.mark.parametrize(("policy", "ran"), [("skip", 0), ("run", 3), ("run-once", 1)])
def test_missed_firings_go_by_their_rule(world: InMemoryDispatcher, policy: str, ran: int) -> None:
    schedule = stored(world, {"expression": "rate(5 minutes)", "missed": {"policy": policy, "late_seconds": 300}})
    due = due_of(schedule, world.clock.now_ms(), 3)
    world.clock.advance(due[-1] + 400_000 - world.clock.now_ms())
    world.schedules.delete(schedule.schedule_id)  # only what is fired by hand
    for at_ms in due:
        fire(world, schedule, at_ms)
        fire(world, schedule, at_ms)  # delivered twice, it is decided the same way
    assert len(tasks_of(world, schedule, due)) == ran
    world.publish()
    assert len(facts(world, "ScheduleMissed")) == 3 - ran
    in_time = due[-1] + 300_000
    fire(world, schedule, in_time)
    assert len(tasks_of(world, schedule, [in_time])) == 1


def test_a_paused_or_deleted_schedule_is_passed_over(world: InMemoryDispatcher) -> None:
    schedule = stored(world, {"expression": "rate(5 minutes)"})
    due_ms = due_of(schedule, world.clock.now_ms(), 1)[0]
    paused = stored(world, {"expression": "rate(5 minutes)", "enabled": False})
    world.advance(600)
    fire(world, paused, due_ms)
    world.store.transact(delete_operations(paused, "gone", "here", world.clock.now_ms()), "gone")
    settle(world.store, world.schedules, paused.schedule_id, "gone")
    fire(world, paused, due_ms)
    assert tasks_of(world, schedule, [due_ms]) == []
    assert world.schedules.get(schedule.schedule_id) is None


def test_a_tenant_that_is_suspended_fires_nothing(world: InMemoryDispatcher) -> None:
    schedule = stored(world, {"expression": "rate(5 minutes)"})
    due_ms = due_of(schedule, world.clock.now_ms(), 1)[0]
    world.store.write(Update(keys.tenant_key("atlas"), set={"status": "suspended"}))
    world.advance(301)
    assert tasks_of(world, schedule, [due_ms]) == []
    world.publish()
    assert [one["code"] for one in facts(world, "ScheduleMissed")] == ["tenant_not_active"]


def test_a_workflow_is_submitted_by_a_schedule(world: InMemoryDispatcher) -> None:
    nodes = [{"name": "a", "task_type": "report"}, {"name": "b", "task_type": "report", "depends_on": ["a"]}]
    said = {"expression": "rate(5 minutes)", "task": None, "workflow": {"tasks": nodes, "deadline_seconds": 60}}
    schedule = stored(world, said)
    due_ms = due_of(schedule, world.clock.now_ms(), 1)[0]
    world.advance(310)
    row = load_row(world.store, keyed_workflow_id("atlas", firing_key(schedule.schedule_id, due_ms)))
    assert row is not None
    assert row.status.value == "SUCCEEDED"
    assert row.accepted.deadline_ms == due_ms + 60_000


@pytest.mark.parametrize("kind", ["task", "workflow"])
def test_where_no_unsigned_tenant_is_accepted_a_firing_is(world: InMemoryDispatcher, kind: str) -> None:
    ports = msgspec.structs.replace(world.router_ports(world.held), accept_unsigned_tenant=False)
    world.router = Router(ports)
    node = {"name": "a", "task_type": "report"}
    said = {"task": None, "workflow": {"tasks": [node]}} if kind == "workflow" else {}
    stored(world, {"expression": "rate(5 minutes)", **said})
    world.advance(310)
    assert len(facts(world, "TaskSucceeded")) == 1
    assert facts(world, "TaskRejected") == []


@pytest.mark.parametrize("kind", ["task", "workflow"])
def test_what_the_policy_never_admits_is_kept_with_its_reason(world: InMemoryDispatcher, kind: str) -> None:
    node = {"name": "a", "task_type": "report", "resources": {"nobody-has-it": 1}}
    task = {name: value for name, value in node.items() if name != "name"}
    stored(
        world,
        {"expression": "rate(5 minutes)", **({"task": task} if kind == "task" else {})}
        | ({"task": None, "workflow": {"tasks": [node]}} if kind == "workflow" else {}),
    )
    world.advance(310)
    [rejected] = facts(world, "TaskRejected")
    assert rejected["field"].endswith("resources.nobody-has-it")


def test_a_tenant_over_its_bound_fires_later_and_not_as_missed(world: InMemoryDispatcher) -> None:
    schedule = stored(world, {"expression": "rate(5 minutes)", "missed": {"policy": "skip", "late_seconds": 60}})
    due_ms = due_of(schedule, world.clock.now_ms(), 1)[0]
    world.held.note("default", "atlas", due_ms + 200_000)
    world.advance(301)
    assert tasks_of(world, schedule, [due_ms]) == []
    world.advance(220)
    assert tasks_of(world, schedule, [due_ms]) == ["SUCCEEDED"]


class Breaking:
    """A scheduling service that does not answer until it is mended."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.broken = True

    def put(self, entry: ScheduleEntry) -> None:
        if self.broken:
            raise StoreUnavailable("the scheduling service did not answer")
        self.inner.put(entry)

    def delete(self, name: str) -> None:
        self.put(
            ScheduleEntry(name=name, expression="", timezone="", message="")
        ) if self.broken else self.inner.delete(name)

    def get(self, name: str) -> ScheduleEntry | None:
        return self.inner.get(name)  # type: ignore[no-any-return]  # whatever is inside


def test_a_change_that_broke_off_is_finished_by_the_sweep(world: InMemoryDispatcher) -> None:
    first = stored(world, {"expression": "rate(5 minutes)"})
    service = Breaking(world.schedules)
    second = msgspec.structs.replace(
        first,
        revision=2,
        change_id="two",
        changed_at_ms=world.clock.now_ms(),
        data=msgspec.structs.replace(first.data, expression="rate(9 minutes)"),
    )
    world.store.transact(put_operations(first, second, "here"), "two")
    with pytest.raises(StoreUnavailable):
        settle(world.store, service, first.schedule_id, "two")
    places: list[str] = []

    def at(place: str) -> Breaking:
        places.append(place)
        return service

    assert settle_unfinished(world.store, at, world.clock.now_ms(), world.log) == 0  # its request may be at work yet
    later_ms = world.clock.now_ms() + MINUTE_MS
    assert settle_unfinished(world.store, at, later_ms, world.log) == 0
    assert len(unapplied(world.store)) == 1
    service.broken = False
    assert settle_unfinished(world.store, at, later_ms, world.log) == 1
    assert places == ["here", "here"]
    assert unapplied(world.store) == []
    entry = world.schedules.get(first.schedule_id)
    assert entry is not None
    assert entry.expression == "rate(9 minutes)"


def test_a_slow_change_does_not_overwrite_a_later_one(world: InMemoryDispatcher) -> None:
    first = stored(world, {"expression": "rate(5 minutes)"})

    class Overtaken(Breaking):
        """While the first put is on its way, another request changes the schedule and is done."""

        def put(self, entry: ScheduleEntry) -> None:
            if self.broken:
                self.broken = False
                stored(world, {"expression": "rate(9 minutes)"})
            self.inner.put(entry)

    settle(world.store, Overtaken(world.schedules), first.schedule_id, "slow")
    entry = world.schedules.get(first.schedule_id)
    assert entry is not None
    assert entry.expression == "rate(9 minutes)"


def test_a_schedule_that_never_rests_says_so(world: InMemoryDispatcher) -> None:
    first = stored(world, {"expression": "rate(5 minutes)"})

    class Restless(Breaking):
        turns = 5

        def put(self, entry: ScheduleEntry) -> None:
            Restless.turns += 1
            stored(world, {"expression": f"rate({Restless.turns} minutes)"})

    with pytest.raises(ScheduleContended):
        settle(world.store, Restless(world.schedules), first.schedule_id, "mark")


def test_lists_are_by_tenant_and_page(world: InMemoryDispatcher) -> None:
    made = {stored(world, {"name": f"n{number}", "expression": "rate(1 hour)"}).schedule_id for number in range(5)}
    stored(world, {"expression": "rate(1 hour)"}, tenant_id="borealis")
    found: list[str] = []
    after = ""
    while True:
        page, cursor = list_schedules(world.store, "atlas", after=after, limit=2)
        found += [one.schedule_id for one in page]
        if cursor is None:
            break
        after = cursor
    assert found == sorted(made)
