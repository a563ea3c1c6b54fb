"""Urgency by laxity, and what lateness costs by each of the named functions."""

from typing import Any

import pytest

from pushlane.model.task import DeadlineKind, Penalty
from pushlane.scheduling.deadlines import HALF_URGENT_MS, PENALTIES, penalty, urgency
from pushlane.scheduling.entry import Entry
from tests.unit.values import NOW, an_entry

RUNTIME_MS = an_entry().runtime_ms


def due(laxity_ms: int, kind: Penalty = Penalty.STEP) -> Entry:
    return an_entry(deadline_ms=NOW + RUNTIME_MS + laxity_ms, penalty=kind)


def test_every_penalty_has_its_function() -> None:
    assert set(PENALTIES) == set(Penalty)


@pytest.mark.parametrize(
    ("kind", "runtimes_late", "cost"),
    [
        (Penalty.STEP, -1, 0.0),
        (Penalty.STEP, 0.001, 1.0),
        (Penalty.STEP, 5, 1.0),
        (Penalty.LINEAR, -1, 0.0),
        (Penalty.LINEAR, 2, 2.0),
        (Penalty.QUADRATIC, -1, 0.0),
        (Penalty.QUADRATIC, 3, 9.0),
    ],
)
def test_lateness_costs_by_its_function(kind: Penalty, runtimes_late: float, cost: float) -> None:
    entry = due(0, kind)
    finished_at_ms = NOW + RUNTIME_MS + round(runtimes_late * RUNTIME_MS)
    assert penalty(entry, finished_at_ms) == cost


def test_a_task_without_a_deadline_is_never_late() -> None:
    entry = an_entry(penalty=Penalty.LINEAR)
    assert penalty(entry, NOW + 10**9) == 0.0
    assert not entry.late(entry.start_by_ms + 1)


def test_urgency_grows_as_laxity_shrinks_and_is_half_at_a_minute() -> None:
    seen = [urgency(due(laxity_ms), NOW) for laxity_ms in (3_600_000, HALF_URGENT_MS, 1_000, 0)]
    assert seen == sorted(seen)
    assert (seen[1], seen[3]) == (0.5, 1.0)


@pytest.mark.parametrize(("kind", "expected"), [(Penalty.STEP, 0.0), (Penalty.LINEAR, 0.5)])
def test_what_is_late_already_is_urgent_by_what_more_lateness_would_add(kind: Penalty, expected: float) -> None:
    assert urgency(due(-10_000, kind), NOW) == pytest.approx(expected)


def test_of_late_tasks_a_quadratic_one_grows_more_urgent() -> None:
    late = [urgency(due(-late_ms, Penalty.QUADRATIC), NOW) for late_ms in (1_000, 60_000, 600_000)]
    assert late == sorted(late)
    assert 0 < late[0] < late[2] < 1


@pytest.mark.parametrize(
    ("changed", "late", "hard"),
    [
        ({"deadline_ms": NOW + RUNTIME_MS}, False, False),
        ({"deadline_ms": NOW + RUNTIME_MS - 1}, True, False),
        ({"deadline_ms": NOW + RUNTIME_MS - 1, "deadline_kind": DeadlineKind.HARD}, True, True),
        ({"deadline_kind": DeadlineKind.HARD}, False, False),
    ],
)
def test_late_is_what_cannot_make_its_deadline_with_its_estimated_runtime(
    changed: dict[str, Any], late: bool, hard: bool
) -> None:
    entry = an_entry(**changed)
    assert (entry.late(NOW), entry.hard) == (late, hard)
