"""Deadline misses: what the fact of a task's end says, and the metrics by tier and task type that come of it."""

from typing import Any

import pytest

from pushlane.model.events import Fact, FactName
from pushlane.model.task import DeadlineKind, Estimate, Penalty, Status, Task, Tier
from pushlane.ports import Change
from pushlane.router.facts import facts_of
from pushlane.state import keys
from pushlane.state.items import new_task_attributes
from pushlane.telemetry.deadline_metrics import deadline_metrics
from tests.unit.router.limited import Limited
from tests.unit.values import NOW, a_task

DEADLINE = NOW + 60_000


def ended(task: Task, status: Status, at_ms: int) -> Fact:
    common: dict[str, Any] = {"ended_at_ms": at_ms + 7, "finished_at_ms": at_ms, "result": "{}"}
    if status is not Status.SUCCEEDED:
        common = {"ended_at_ms": at_ms}
    before = new_task_attributes(task, Status.DISPATCHED, 1)
    [fact] = facts_of(Change(keys.task_key(task.task_id), before, {**before, **common, "status": status.value}))
    return fact


def dated(**changed: Any) -> Task:
    return a_task(deadline_ms=DEADLINE, estimate=Estimate(runtime_seconds=10), **changed)


@pytest.mark.parametrize(
    ("status", "late_ms", "missed", "penalty"),
    [
        (Status.SUCCEEDED, -1, False, 0),
        (Status.SUCCEEDED, 0, False, 0),
        (Status.SUCCEEDED, 1, True, 1),
        (Status.FAILED, -500, True, 1),
        (Status.EXPIRED, -9_000, True, 1),
        (Status.FAILED, 500, True, 1),
    ],
)
def test_the_end_says_how_it_stands_to_the_deadline(status: Status, late_ms: int, missed: bool, penalty: float) -> None:
    data = ended(dated(), status, DEADLINE + late_ms).data
    assert (data.deadline_ms, data.lateness_ms, data.missed, data.penalty) == (DEADLINE, late_ms, missed, penalty)


@pytest.mark.parametrize(
    ("kind", "late_ms", "penalty"),
    [(Penalty.STEP, 20_000, 1), (Penalty.LINEAR, 20_000, 2), (Penalty.QUADRATIC, 20_000, 4), (Penalty.LINEAR, -5, 0)],
)
def test_the_penalty_is_the_task_s_own(kind: Penalty, late_ms: int, penalty: float) -> None:
    assert ended(dated(penalty=kind), Status.SUCCEEDED, DEADLINE + late_ms).data.penalty == penalty


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED])
def test_without_a_deadline_nothing_is_said_or_measured(status: Status) -> None:
    fact = ended(a_task(), status, NOW)
    assert (fact.data.deadline_ms, fact.data.lateness_ms, fact.data.missed, fact.data.penalty) == (None,) * 4
    assert deadline_metrics([fact], "prod") == []


def test_metrics_are_added_up_by_tier_and_task_type() -> None:
    late, early = DEADLINE + 20_000, DEADLINE - 1
    facts = [
        ended(dated(), Status.SUCCEEDED, early),
        ended(dated(penalty=Penalty.LINEAR), Status.SUCCEEDED, late),
        ended(dated(), Status.EXPIRED, early),
        ended(dated(tier=Tier.HIGH), Status.SUCCEEDED, early),
        ended(dated(task_type="other"), Status.FAILED, late),
        ended(a_task(), Status.SUCCEEDED, late),
    ]
    told = {(line["tier"], line["task_type"]): line for line in deadline_metrics(facts, "prod")}
    figures = {
        place: (line["DeadlineMet"], line["DeadlineMissed"], line["DeadlinePenalty"]) for place, line in told.items()
    }
    assert figures == {("normal", "work"): (1, 2, 3.0), ("high", "work"): (1, 0, 0.0), ("normal", "other"): (0, 1, 1.0)}


def test_a_line_is_what_cloudwatch_takes_for_metrics() -> None:
    """The embedded metric format: every dimension and metric that the directive names lies at the top of the line."""
    [line] = deadline_metrics([ended(dated(), Status.SUCCEEDED, DEADLINE)], "prod")
    [directive] = line["_aws"]["CloudWatchMetrics"]
    assert line["_aws"]["Timestamp"] == DEADLINE + 7
    assert directive["Namespace"] == "Pushlane"
    assert directive["Dimensions"] == [["stage", "tier"], ["stage", "tier", "task_type"]]
    named = {one["Name"] for one in directive["Metrics"]}
    assert named | set(directive["Dimensions"][1]) == line.keys() - {"_aws"}
    assert all(isinstance(line[name], str) for name in directive["Dimensions"][1])


def test_a_whole_life_is_measured_once() -> None:
    world = Limited({})
    now_ms = world.clock.now_ms()
    estimate = {"runtime_seconds": 10}
    world.work = world.using(tokens=0, runtime_ms=30_000)
    world.submit(deadline_ms=now_ms + 60_000, estimate=estimate)
    late = world.submit(deadline_ms=now_ms + 20_000, estimate=estimate, penalty="linear")
    hopeless = world.submit(deadline_ms=now_ms + 5_000, estimate=estimate, deadline_kind=DeadlineKind.HARD.value)
    world.dispatcher.run_until_idle()
    assert world.dispatcher.status(hopeless) == "EXPIRED"
    [fact] = [one for one in world.facts(FactName.TASK_SUCCEEDED) if one.data.task_id == late]
    assert fact.data.missed
    assert fact.data.lateness_ms is not None
    assert fact.data.penalty == fact.data.lateness_ms / 10_000
    lines = [line for line in world.dispatcher.metrics if "DeadlineMet" in line]
    assert [sum(line[name] for line in lines) for name in ("DeadlineMet", "DeadlineMissed")] == [1, 2]
