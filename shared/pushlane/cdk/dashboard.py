"""The dashboard: what an operator sees first. Who waits, whether deadlines hold, whether anything refuses or lags."""

from collections.abc import Iterable, Sequence
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from pushlane.cdk.alarms import MINUTE, RUNBOOKS
from pushlane.cdk.health_alarms import READ_FROM_STREAMS, gauge, missed_percent
from pushlane.cdk.watched import Watched
from pushlane.model import metrics
from pushlane.model.task import Tier

_WIDE: Final = 24
_THIRD: Final = 8
_TEXT_ROWS: Final = 3


class PushlaneDashboard(Construct):
    """One dashboard of a stage. Pools and agents come and go, so what is theirs is searched for by name."""

    def __init__(self, scope: Construct, construct_id: str, *, parts: Watched) -> None:
        super().__init__(scope, construct_id)
        self.dashboard = cloudwatch.Dashboard(
            self,
            "Dashboard",
            default_interval=cdk.Duration.hours(3),
            widgets=[
                [_heading(parts.stage)],
                _tasks(parts),
                _latencies(parts.stage),
                _pools(parts),
                _functions(parts),
                _hops(parts),
                _tables(parts),
            ],
        )


def _heading(stage: str) -> cloudwatch.TextWidget:
    text = (
        f"# Pushlane, stage {stage}\n"
        f"What an alarm means and what to do: `{RUNBOOKS}/`. By tenant: `pushlane report`, the console. "
        "Why one task waits: `pushlane why TASK`."
    )
    return cloudwatch.TextWidget(markdown=text, width=_WIDE, height=_TEXT_ROWS)


def _tasks(parts: Watched) -> list[cloudwatch.IWidget]:
    misses = [missed_percent(parts.stage, tier) for tier in Tier]
    idle = gauge(parts.stage, metrics.POOL_WAITING_WITH_IDLE_CAPACITY)
    stalled = gauge(parts.stage, metrics.POOL_STALLED)
    dead = [queue.metric_approximate_number_of_messages_visible(period=MINUTE) for queue in parts.dead_letters.values()]
    return [
        _graph("Missed deadlines, percent by tier", misses),
        _graph("Waiting with idle capacity; stalled pools", [idle, stalled]),
        _graph("Messages in dead-letter queues", _labelled(parts.dead_letters, dead)),
    ]


def _latencies(stage: str) -> list[cloudwatch.IWidget]:
    """Of all tenants; those of one are in the measures."""
    split = [
        _of_tasks(stage, name, statistic, label=f"{label} {statistic}")
        for name, label in ((metrics.INGEST_MS, "ingest"), (metrics.DISPATCH_MS, "dispatch"))
        for statistic in ("p50", "p99")
    ]
    counts = [
        _of_tasks(stage, name, "Sum", label=label)
        for name, label in ((metrics.TASKS_RETRIED, "retried"), (metrics.TASKS_DEAD_LETTERED, "dead-lettered"))
    ]
    return [
        _graph("p99 pickup in ms, by tier", [_of_tasks(stage, metrics.PICKUP_MS, "p99", tier) for tier in Tier]),
        _graph("Parts of the pickup in ms", split),
        _graph(
            "p99 run time in ms (left), retries and dead letters (right)",
            [_of_tasks(stage, metrics.RUN_MS, "p99", label="run time")],
            counts,
        ),
    ]


def _of_tasks(
    stage: str, name: str, statistic: str, tier: Tier | None = None, label: str | None = None
) -> cloudwatch.IMetric:
    dimensions = {"stage": stage} if tier is None else {"stage": stage, "tier": tier.value}
    return cloudwatch.Metric(
        namespace=metrics.NAMESPACE,
        metric_name=name,
        dimensions_map=dimensions,
        period=MINUTE,
        statistic=statistic,
        label=label or (tier.value if tier else None),
    )


def _pools(parts: Watched) -> list[cloudwatch.IWidget]:
    return [
        _graph("Waiting, by pool", [_by_pool(parts.stage, metrics.POOL_WAITING)]),
        _graph("Longest current wait in ms, by pool", [_by_pool(parts.stage, metrics.POOL_LONGEST_WAIT_MS)]),
        _graph(
            "Slots used (left) of slots (right), by pool",
            [_by_pool(parts.stage, metrics.POOL_SLOTS_USED)],
            [_by_pool(parts.stage, metrics.POOL_SLOTS)],
        ),
    ]


def _functions(parts: Watched) -> list[cloudwatch.IWidget]:
    functions = {name: one.function for name, one in parts.functions.items()}
    throttles = [one.metric_throttles(period=MINUTE) for one in functions.values()]
    errors = [one.metric_errors(period=MINUTE) for one in functions.values()]
    durations = [one.metric_duration(period=MINUTE, statistic="p99") for one in functions.values()]
    return [
        _graph("Errors of functions", _labelled(functions, errors)),
        _graph("Throttles of functions", _labelled(functions, throttles)),
        _graph("p99 duration of functions in ms", _labelled(functions, durations)),
    ]


def _hops(parts: Watched) -> list[cloudwatch.IWidget]:
    ages = [queue.metric_approximate_age_of_oldest_message(period=MINUTE) for queue in parts.queues.values()]
    streams = [
        parts.functions[name].function.metric("IteratorAge", period=MINUTE, statistic="Maximum", label=name)
        for name in READ_FROM_STREAMS
    ]
    of_agents = cloudwatch.SearchExpression(
        expression=(
            'SEARCH(\'{AWS/SQS,QueueName} MetricName="ApproximateAgeOfOldestMessage"'
            f" \"{parts.agent_queue_prefix}\"', 'Maximum', 60)"
        ),
        label="",
        period=MINUTE,
    )
    return [
        _graph("Oldest message of queues in s", _labelled(parts.queues, ages)),
        _graph("Oldest dispatch of agents' queues in s", [of_agents]),
        _graph("How far behind the streams in ms", streams),
    ]


def _tables(parts: Watched) -> list[cloudwatch.IWidget]:
    def of(name: str) -> list[cloudwatch.IMetric]:
        found = [table.metric(name, period=MINUTE, statistic="Sum") for table in parts.tables.values()]
        return _labelled(parts.tables, found)

    return [
        _graph("Write units of tables a minute", of("ConsumedWriteCapacityUnits")),
        _graph("Read units of tables a minute", of("ConsumedReadCapacityUnits")),
        _graph("Throttled writes (left) and reads (right)", of("WriteThrottleEvents"), of("ReadThrottleEvents")),
    ]


def _by_pool(stage: str, name: str) -> cloudwatch.SearchExpression:
    """A line for each pool that there is; its label is the pool's name."""
    return cloudwatch.SearchExpression(
        expression=(
            f"SEARCH('{{{metrics.NAMESPACE},stage,pool}} MetricName=\"{name}\" stage=\"{stage}\"', 'Maximum', 60)"
        ),
        label="${PROP('Dim.pool')}",
        period=MINUTE,
    )


def _labelled(names: Iterable[str], found: Iterable[cloudwatch.Metric]) -> list[cloudwatch.IMetric]:
    return [one.with_(label=name) for name, one in zip(names, found, strict=True)]


def _graph(
    title: str, left: Sequence[cloudwatch.IMetric], right: Sequence[cloudwatch.IMetric] = ()
) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=left, right=right or None, width=_THIRD)
