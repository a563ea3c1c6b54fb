"""What is measured of committed changes: the first start, split by where the time went, and the end."""

from typing import Any

import pytest

from pushlane.model.task import Status, Task
from pushlane.ports import Change, Key, Table
from pushlane.scheduling.decisions import ParkReason
from pushlane.state import keys
from pushlane.state.items import new_task_attributes
from pushlane.telemetry.layout import DISTRIBUTIONS, PARKED, bucket_attribute, bucket_named
from pushlane.telemetry.observations import Observation, observed
from tests.unit.telemetry.measured import started
from tests.unit.values import NOW, a_task


def ended(status: Status, before: Status = Status.DISPATCHED, task: Task | None = None, **more: Any) -> Change:
    task = task or a_task()
    old = {**new_task_attributes(task, before, 1), "dispatched_at_ms": NOW}
    new = {**old, "status": status.value, "ended_at_ms": NOW + 900, **more}
    return Change(keys.task_key(task.task_id), old, new)


def seen(change: Change) -> Observation:
    found = observed(change)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("pickup", "parts"),
    [
        ([NOW - 40, 30], {"pickup": 40, "ingest": 30, "dispatch": 10}),
        ([NOW - 400, 30, "capacity", NOW - 370], {"pickup": 400, "ingest": 30, "parked.capacity": 360, "dispatch": 10}),
        ([NOW - 40, 30, "", 0, True], {"pickup": 40, "unblock": 30, "dispatch": 10}),
        # Parked, dispatched, and never started: then parked again.
        (
            [NOW - 900, 20, "rate", NOW - 110],
            {"pickup": 900, "ingest": 20, "parked.rate": 100, "dispatch": 10, "parked.not-started": 770},
        ),
        # Clocks disagree: nothing is negative, and the parts still add up.
        ([NOW + 70, 0], {"pickup": 0, "ingest": 0, "dispatch": 0}),
        ([NOW - 5, 0], {"pickup": 5, "ingest": 0, "dispatch": 5}),
    ],
)
def test_a_first_start_is_measured_with_its_parts(pickup: list[Any], parts: dict[str, int]) -> None:
    found = seen(started(1, pickup))
    assert found.durations_ms == parts
    assert sum(parts.values()) == 2 * parts["pickup"]
    assert (found.tenant_id, found.tier, found.at_ms, found.counts) == ("atlas", "normal", NOW, {"started": 1})


def test_a_start_after_another_and_a_check_in_are_not_measured() -> None:
    assert observed(started(1, None)) is None
    start = started(1, [NOW - 40, 30])
    assert observed(Change(start.key, start.new, {**(start.new or {}), "progress_at_ms": NOW})) is None
    assert observed(Change(start.key, None, start.old)) is None
    assert observed(Change(start.key, start.new, None)) is None


def test_an_end_is_measured_with_what_the_task_took() -> None:
    change = ended(
        Status.SUCCEEDED, started_at_ms=NOW + 5, finished_at_ms=NOW + 805, epoch=3, uncounted=1,
        slot_ms=1_200, tokens=700, reserved_tokens=900,
    )  # fmt: skip
    found = seen(change)
    assert found.durations_ms == {"run": 800}
    assert found.counts == {"succeeded": 1, "retried": 1}
    assert found.sums == {"slot_ms": 1_200, "tokens": 700, "reserved_tokens": 900}
    assert found.at_ms == NOW + 900


@pytest.mark.parametrize(
    ("status", "finished_ms", "counted"),
    [
        (Status.SUCCEEDED, 500, "deadline_met"),
        (Status.SUCCEEDED, 501, "deadline_missed"),
        (Status.FAILED, 100, "deadline_missed"),
        (Status.EXPIRED, 100, "deadline_missed"),
    ],
)
def test_an_end_says_how_it_stands_to_its_deadline(status: Status, finished_ms: int, counted: str) -> None:
    change = ended(status, task=a_task(deadline_ms=NOW + 500), started_at_ms=NOW, finished_at_ms=NOW + finished_ms)
    assert seen(change).counts == {status.value.lower(): 1, counted: 1}


def test_dead_letters_count_each_time_and_cost_only_at_the_end() -> None:
    spent: dict[str, Any] = {"slot_ms": 700}
    first, again = (ended(Status.DEAD_LETTERED, **spent, epoch=epoch) for epoch in (3, 5))
    discarded = ended(Status.FAILED, Status.DEAD_LETTERED, **spent, epoch=5)
    assert [seen(one).counts for one in (first, again)] == [{"dead_lettered": 1}] * 2
    assert [seen(one).sums for one in (first, discarded)] == [{}, spent]
    assert len({seen(one).mark for one in (first, again, discarded)}) == 3


@pytest.mark.parametrize("status", [Status.PARKED, Status.RETRYING, Status.SUSPENDED, Status.WAITING])
def test_what_is_neither_start_nor_end_is_not_measured(status: Status) -> None:
    assert observed(ended(status)) is None


def test_what_an_ended_task_is_changed_by_later_is_no_second_end() -> None:
    change = ended(Status.SUCCEEDED, finished_at_ms=NOW, started_at_ms=NOW)
    assert observed(Change(change.key, change.new, {**(change.new or {}), "signals": 2})) is None
    assert observed(Change(Key(Table.TASKS, "FACT#1", "FACT"), None, {"fact": "TaskRejected"})) is None


def test_every_reason_to_park_has_a_name_in_the_table_and_no_two_share_one() -> None:
    assert {PARKED + reason.value for reason in ParkReason} < DISTRIBUTIONS.keys()
    assert len(set(DISTRIBUTIONS.values())) == len(DISTRIBUTIONS)
    for name in DISTRIBUTIONS:
        assert bucket_named(bucket_attribute(name, 231)) == (name, 231)
    assert bucket_named("~p231") is bucket_named("n_st") is bucket_named("v") is bucket_named("zz7") is None
