"""Lines of the embedded metric format: what CloudWatch takes, of low cardinality, and each observation once."""

import warnings
from typing import Any

from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

from pushlane.model.metrics import NAMESPACE
from pushlane.telemetry.metrics import pool_metrics, task_metrics
from pushlane.telemetry.report import PoolSample
from tests.unit.telemetry.measured import an_observation
from tests.unit.values import NOW


def metrics_of(line: dict[str, Any]) -> dict[str, str]:
    [directive] = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == NAMESPACE
    return {one["Name"]: one["Unit"] for one in directive["Metrics"]}


def test_a_line_for_each_tier_and_task_type() -> None:
    observations = [
        an_observation(1, 40),
        an_observation(2, 60, counts={"started": 1, "retried": 2}),
        an_observation(3, 10, tier="high", durations_ms={"run": 7, "parked.rate": 9}),
    ]
    normal, high = task_metrics(observations, "dev")
    assert metrics_of(normal) == {"PickupMs": "Milliseconds", "TasksRetried": "Count"}
    assert (normal["PickupMs"], normal["TasksRetried"]) == ([40, 60], 2)
    assert (normal["stage"], normal["tier"], normal["task_type"]) == ("dev", "normal", "echo")
    assert metrics_of(high) == {"RunMs": "Milliseconds"}
    dimensions = normal["_aws"]["CloudWatchMetrics"][0]["Dimensions"]
    assert dimensions == [["stage"], ["stage", "tier"], ["stage", "tier", "task_type"]]


def test_no_dimension_is_a_tenant_or_a_task() -> None:
    [line] = task_metrics([an_observation(1, tenant_id="birch-ltd")], "dev")
    assert "birch-ltd" not in str(line)


def test_a_line_has_no_more_values_than_cloudwatch_takes() -> None:
    lines = task_metrics([an_observation(number) for number in range(250)], "dev")
    assert [len(line["PickupMs"]) for line in lines] == [100, 100, 50]


def test_what_says_nothing_makes_no_line() -> None:
    assert task_metrics([an_observation(1, durations_ms={}, counts={"succeeded": 1})], "dev") == []


def test_a_pool_that_runs_nothing_while_tasks_wait_is_stalled() -> None:
    quiet = PoolSample(pool="p", at_ms=NOW, slots=4, used=0, waiting=0)
    stuck = PoolSample(pool="p", at_ms=NOW, slots=4, used=0, waiting=3, longest_wait_ms=900)
    busy = PoolSample(pool="p", at_ms=NOW, slots=4, used=1, waiting=3, waiting_with_idle_capacity=2)
    lines = pool_metrics([quiet, stuck, busy], "dev")
    assert [line["PoolStalled"] for line in lines] == [0, 1, 0]
    assert [line["PoolWaitingWithIdleCapacity"] for line in lines] == [0, 0, 2]
    assert lines[1]["PoolLongestWaitMs"] == 900
    assert lines[0]["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["stage"], ["stage", "pool"]]


def test_a_line_is_the_one_that_powertools_would_have_written() -> None:
    [line] = task_metrics([an_observation(1, 40), an_observation(2, 60, counts={"retried": 2})], "dev")
    theirs = AmazonCloudWatchEMFProvider(namespace=NAMESPACE)
    place = {name: line[name] for name in ("stage", "tier", "task_type")}
    theirs.add_dimension("stage", "dev")
    theirs.add_dimensions(stage="dev", tier="normal")
    theirs.add_dimensions(**place)
    for name, unit in metrics_of(line).items():
        for value in line[name] if isinstance(line[name], list) else [line[name]]:
            theirs.add_metric(name=name, unit=unit, value=value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the time of the test is long past
        theirs.set_timestamp(NOW)
        said = theirs.serialize_metric_set()
    assert said == {**line, "TasksRetried": [2]}
