"""What was measured, as CloudWatch's embedded metric format: a log line that becomes metrics. Low cardinality only:
neither tenants nor tasks, since each value of a dimension is billed as a metric; tenants' figures are in the measures.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pushlane.model.metrics import (
    DISPATCH_MS,
    INGEST_MS,
    NAMESPACE,
    PICKUP_MS,
    POOL_LONGEST_WAIT_MS,
    POOL_SLOTS,
    POOL_SLOTS_USED,
    POOL_STALLED,
    POOL_WAITING,
    POOL_WAITING_WITH_IDLE_CAPACITY,
    RUN_MS,
    TASKS_DEAD_LETTERED,
    TASKS_RETRIED,
    UNBLOCK_MS,
)
from pushlane.telemetry.observations import Observation
from pushlane.telemetry.report import PoolSample

_DURATIONS: Final = {
    "pickup": PICKUP_MS,
    "ingest": INGEST_MS,
    "dispatch": DISPATCH_MS,
    "run": RUN_MS,
    "unblock": UNBLOCK_MS,
}
_COUNTS: Final = {"retried": TASKS_RETRIED, "dead_lettered": TASKS_DEAD_LETTERED}
_OF_TASKS: Final = (("stage",), ("stage", "tier"), ("stage", "tier", "task_type"))
_OF_POOLS: Final = (("stage",), ("stage", "pool"))
# CloudWatch takes so many values of one metric in a line.
_VALUES_MAX: Final = 100

_Figure = int | list[int]


def task_metrics(observations: Iterable[Observation], stage: str) -> list[dict[str, Any]]:
    """A line for each tier and task type (and each hundred observations) of which anything was measured."""
    groups: dict[tuple[str, str], list[Observation]] = {}
    for one in observations:
        groups.setdefault((one.tier, one.task_type), []).append(one)
    return [
        _line({"stage": stage, "tier": tier, "task_type": task_type}, _OF_TASKS, figures, part[-1].at_ms)
        for (tier, task_type), group in groups.items()
        for part in (group[start : start + _VALUES_MAX] for start in range(0, len(group), _VALUES_MAX))
        if (figures := _figures(part))
    ]


def pool_metrics(samples: Iterable[PoolSample], stage: str) -> list[dict[str, Any]]:
    """A line for each sampled pool."""
    return [_line({"stage": stage, "pool": one.pool}, _OF_POOLS, _of_pool(one), one.at_ms) for one in samples]


def _figures(observations: Sequence[Observation]) -> dict[str, _Figure]:
    figures: dict[str, _Figure] = {}
    for name, metric in _DURATIONS.items():
        values = [one.durations_ms[name] for one in observations if name in one.durations_ms]
        if values:
            figures[metric] = values
    for name, metric in _COUNTS.items():
        if count := sum(one.counts.get(name, 0) for one in observations):
            figures[metric] = count
    return figures


def _of_pool(sample: PoolSample) -> dict[str, _Figure]:
    return {
        POOL_SLOTS: sample.slots,
        POOL_SLOTS_USED: sample.used,
        POOL_WAITING: sample.waiting,
        POOL_LONGEST_WAIT_MS: sample.longest_wait_ms,
        POOL_WAITING_WITH_IDLE_CAPACITY: sample.waiting_with_idle_capacity,
        POOL_STALLED: int(sample.waiting > 0 and sample.used == 0),
    }


def _line(
    place: Mapping[str, str], dimensions: Sequence[Sequence[str]], figures: Mapping[str, _Figure], at_ms: int
) -> dict[str, Any]:
    directive = {
        "Namespace": NAMESPACE,
        "Dimensions": [list(some) for some in dimensions],
        "Metrics": [{"Name": name, "Unit": _unit(name)} for name in figures],
    }
    return {"_aws": {"Timestamp": at_ms, "CloudWatchMetrics": [directive]}, **place, **figures}


def _unit(metric: str) -> str:
    return "Milliseconds" if metric.endswith("Ms") else "Count"
