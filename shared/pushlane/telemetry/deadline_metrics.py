"""Deadline misses by tier and task type, as CloudWatch's embedded metric format: a log line that becomes metrics."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pushlane.model.events import Fact
from pushlane.model.metrics import DEADLINE_MET, DEADLINE_MISSED, DEADLINE_PENALTY, NAMESPACE

# What the metrics are kept for. Neither tenants nor tasks: each value of a dimension is billed as a metric of its own.
DIMENSIONS: Final = ("tier", "task_type")
_UNITS: Final = {DEADLINE_MET: "Count", DEADLINE_MISSED: "Count", DEADLINE_PENALTY: "None"}


def deadline_metrics(facts: Iterable[Fact], stage: str) -> list[dict[str, Any]]:
    """One line for each tier and task type among the ends of tasks that had a deadline.

    `DeadlinePenalty` adds up what the misses cost by the tasks' own penalty functions.
    """
    ends: dict[tuple[str, str], list[Fact]] = {}
    for fact in facts:
        if fact.data.missed is not None and fact.data.tier is not None:
            ends.setdefault((fact.data.tier.value, fact.data.task_type or ""), []).append(fact)
    return [_line({"stage": stage, "tier": tier, "task_type": kind}, told) for (tier, kind), told in ends.items()]


def _line(place: Mapping[str, str], told: list[Fact]) -> dict[str, Any]:
    missed = sum(bool(fact.data.missed) for fact in told)
    directive = {
        "Namespace": NAMESPACE,
        "Dimensions": [["stage", "tier"], ["stage", *DIMENSIONS]],
        "Metrics": [{"Name": name, "Unit": unit} for name, unit in _UNITS.items()],
    }
    return {
        "_aws": {"Timestamp": max(fact.metadata.occurred_at_ms for fact in told), "CloudWatchMetrics": [directive]},
        **place,
        DEADLINE_MET: len(told) - missed,
        DEADLINE_MISSED: missed,
        DEADLINE_PENALTY: sum(fact.data.penalty or 0.0 for fact in told),
    }
