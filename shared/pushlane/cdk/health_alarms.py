"""Alarms on how a whole dispatcher does: deadlines, pools, throttling, streams and queues that are not kept up with."""

from collections.abc import Iterator
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from pushlane.cdk.alarms import MINUTE, Alarms, Watch, function_throttled
from pushlane.cdk.watched import Watched
from pushlane.model import metrics
from pushlane.model.task import Tier

# Of the tasks with a deadline that ended within a quarter of an hour, so many may have missed it.
MISSES_PERCENT: Final = {Tier.CRITICAL: 1, Tier.HIGH: 5, Tier.NORMAL: 10, Tier.LOW: 25, Tier.BACKGROUND: 50}
# Of fewer ends one miss would be a percentage that wakes somebody.
ENDS_MIN: Final = 20
_QUARTER: Final = cdk.Duration.minutes(15)
LONGEST_WAIT_MS: Final = 60 * 60 * 1000
# A hot partition is throttled now and then while DynamoDB splits it, and the turn tries again.
TABLE_THROTTLES_A_MINUTE: Final = 10
STREAM_AGE_MS: Final = 60_000
QUEUE_AGE_SECONDS: Final = 120
SWEEP: Final = "Sweep"
READ_FROM_STREAMS: Final = ("Lifecycle", "Router")
# Held submissions and delayed wake-ups are old on purpose.
TAKEN_AT_ONCE: Final = ("Intake", "Results", "Events", "Outbound")


class HealthAlarms(Construct):
    """An alarm for everything that `health_watches` says."""

    def __init__(self, scope: Construct, construct_id: str, *, alarms: Alarms, parts: Watched) -> None:
        super().__init__(scope, construct_id)
        for name, watch in health_watches(parts):
            alarms.add(self, name, watch)


def health_watches(parts: Watched) -> Iterator[tuple[str, Watch]]:
    """Every alarm on the whole, by a name that is unique."""
    for tier, percent in MISSES_PERCENT.items():
        yield f"{tier.value.capitalize()}DeadlineMisses", _deadline_misses(parts.stage, tier, percent)
    yield from _pool_watches(parts.stage)
    yield "TasksDeadLettered", _dead_tasks(parts.stage)
    yield "SweepNotRunning", _sweep_not_running(parts.functions[SWEEP].function)
    for name, function in parts.functions.items():
        yield f"{name}Throttled", function_throttled(name.lower(), function.function)
    for name, table in parts.tables.items():
        yield f"{name}TableThrottled", _table_throttled(name.lower(), table)
    for name in READ_FROM_STREAMS:
        yield f"{name}StreamBehind", _stream_behind(name.lower(), parts.functions[name].function)
    for name, queue in parts.queues.items():
        if name.startswith(TAKEN_AT_ONCE):
            age = queue.metric_approximate_age_of_oldest_message(period=MINUTE, statistic="Maximum")
            yield f"{name}QueueBehind", _queue_behind(name.lower(), age)


def gauge(stage: str, name: str, pool: str | None = None) -> cloudwatch.Metric:
    """A pool's gauge, or the highest of all pools of the stage."""
    dimensions = {"stage": stage} if pool is None else {"stage": stage, "pool": pool}
    return cloudwatch.Metric(
        namespace=metrics.NAMESPACE,
        metric_name=name,
        dimensions_map=dimensions,
        period=MINUTE,
        statistic="Maximum",
    )


def missed_percent(stage: str, tier: Tier) -> cloudwatch.MathExpression:
    """Percent of a tier's ends in a quarter of an hour that missed their deadline; zero of a few."""
    dimensions = {"stage": stage, "tier": tier.value}
    met, missed = (
        cloudwatch.Metric(
            namespace=metrics.NAMESPACE, metric_name=name, dimensions_map=dimensions, period=_QUARTER, statistic="Sum"
        )
        for name in (metrics.DEADLINE_MET, metrics.DEADLINE_MISSED)
    )
    # A graph of several tiers takes no name twice.
    met_name, missed_name = f"met_{tier.value}", f"missed_{tier.value}"
    ends = f"({met_name} + {missed_name})"
    return cloudwatch.MathExpression(
        expression=f"IF({ends} >= {ENDS_MIN}, 100 * {missed_name} / {ends}, 0)",
        using_metrics={met_name: met, missed_name: missed},
        label=tier.value,
        period=_QUARTER,
    )


def _dead_tasks(stage: str) -> Watch:
    return Watch(
        runbook="dead-tasks",
        says="tasks have used up their attempts and rest until somebody decides",
        metric=cloudwatch.Metric(
            namespace=metrics.NAMESPACE,
            metric_name=metrics.TASKS_DEAD_LETTERED,
            dimensions_map={"stage": stage},
            period=MINUTE,
            statistic="Sum",
        ),
        above=0,
    )


def _deadline_misses(stage: str, tier: Tier, percent: int) -> Watch:
    return Watch(
        runbook="deadline-misses",
        says=f"more than {percent} % of the tasks of tier {tier.value} miss their deadline",
        metric=missed_percent(stage, tier),
        above=percent,
    )


def _pool_watches(stage: str) -> Iterator[tuple[str, Watch]]:
    idle = Watch(
        runbook="waiting-with-idle-capacity",
        says="tasks wait in a pool although agents that can do them are free",
        metric=gauge(stage, metrics.POOL_WAITING_WITH_IDLE_CAPACITY),
        periods=3,
        of_periods=3,
    )
    stalled = Watch(
        runbook="stalled-pool",
        says="tasks wait in a pool of which nothing runs",
        metric=gauge(stage, metrics.POOL_STALLED),
        periods=5,
        of_periods=5,
    )
    starving = Watch(
        runbook="starvation",
        says=f"a task has waited for more than {LONGEST_WAIT_MS // 60_000} minutes",
        metric=gauge(stage, metrics.POOL_LONGEST_WAIT_MS),
        above=LONGEST_WAIT_MS,
        periods=5,
        of_periods=5,
    )
    return iter([("WaitingWithIdleCapacity", idle), ("StalledPool", stalled), ("Starvation", starving)])


def _sweep_not_running(function: lambda_.Function) -> Watch:
    return Watch(
        runbook="sweep-not-running",
        says="the sweep has not run for five minutes",
        metric=function.metric_invocations(period=cdk.Duration.minutes(5), statistic="Sum"),
        below=1,
        silence_is_wrong=True,
    )


def _table_throttled(name: str, table: dynamodb.Table) -> Watch:
    reads, writes = (
        table.metric(f"{kind}ThrottleEvents", period=MINUTE, statistic="Sum") for kind in ("Read", "Write")
    )
    # One of the two may have no data while the other one has.
    both = cloudwatch.MathExpression(
        expression="FILL(reads, 0) + FILL(writes, 0)",
        using_metrics={"reads": reads, "writes": writes},
        label=name,
        period=MINUTE,
    )
    return Watch(
        runbook="table-throttles",
        says=f"DynamoDB throttles the table {name}",
        metric=both,
        above=TABLE_THROTTLES_A_MINUTE,
        periods=3,
        of_periods=5,
    )


def _stream_behind(name: str, function: lambda_.Function) -> Watch:
    return Watch(
        runbook="streams-behind",
        says=f"the function {name} is more than {STREAM_AGE_MS // 1000} s behind a stream that it reads",
        metric=function.metric("IteratorAge", period=MINUTE, statistic="Maximum"),
        above=STREAM_AGE_MS,
        periods=3,
        of_periods=5,
    )


def _queue_behind(name: str, age: cloudwatch.Metric) -> Watch:
    return Watch(
        runbook="queues-behind",
        says=f"messages lie in the queue {name} for more than {QUEUE_AGE_SECONDS} s",
        metric=age,
        above=QUEUE_AGE_SECONDS,
        periods=3,
        of_periods=5,
    )
