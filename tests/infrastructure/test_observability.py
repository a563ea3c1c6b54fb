"""Alarms and dashboard: everything that can fail is watched, every alarm is told to people and has a page."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pushlane.model import metrics
from pushlane.telemetry.metrics import pool_metrics, task_metrics
from pushlane.telemetry.observations import Observation
from pushlane.telemetry.report import PoolSample
from tests.infrastructure.templates import Resource, Templates
from tests.infrastructure.test_functions import functions

pytestmark = pytest.mark.xdist_group("infrastructure")  # what these tests share is expensive

RUNBOOKS = Path(__file__).resolve().parents[2] / "docs" / "runbooks"
PAGE = re.compile(r"What to do: docs/runbooks/([a-z-]+)\.md$")
SECTIONS = ("**On when**", "**What it means.**", "## Look", "## What to do", "## Over when")
STACK = "Pushlane-Prod-Observability"


def alarms(templates: Templates, page: str = "") -> list[Resource]:
    return [one for one in templates.resources("AWS::CloudWatch::Alarm") if page in page_of(one)]


def page_of(alarm: Resource) -> str:
    found = PAGE.search(alarm.properties["AlarmDescription"])
    assert found, alarm.properties["AlarmDescription"]
    return found[1]


def measured(alarm: Resource) -> list[dict[str, Any]]:
    """The metrics that an alarm goes by, those of an expression one by one."""
    if "Metrics" not in alarm.properties:
        return [dict(alarm.properties)]
    return [one["MetricStat"]["Metric"] for one in alarm.properties["Metrics"] if "MetricStat" in one]


def names(alarm: Resource) -> set[str]:
    return {one["MetricName"] for one in measured(alarm)}


def watched(templates: Templates, metric: str) -> set[tuple[str, str]]:
    """The resources (stack, logical id) whose metric of this name raises an alarm."""
    found = set()
    for alarm in alarms(templates):
        for one in measured(alarm):
            if one["MetricName"] == metric:
                (dimension,) = one["Dimensions"]
                resource = templates.target(dimension["Value"], alarm.stack)
                found.add((resource.stack, resource.logical_id))
    return found


def ids(resources: list[Resource]) -> set[tuple[str, str]]:
    return {(one.stack, one.logical_id) for one in resources}


def test_every_alarm_has_a_page_and_every_page_an_alarm(prod: Templates) -> None:
    pages = {one.stem for one in RUNBOOKS.glob("*.md")} - {"README"}
    assert {page_of(one) for one in alarms(prod)} == pages


def test_the_index_of_the_pages_lists_each() -> None:
    listed = set(re.findall(r"\]\(([a-z-]+)\.md\)", (RUNBOOKS / "README.md").read_text()))
    assert listed == {one.stem for one in RUNBOOKS.glob("*.md")} - {"README"}


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("[a-z]*.md")), ids=lambda page: page.stem)
def test_every_page_is_built_alike(page: Path) -> None:
    text = page.read_text()
    places = [text.find(section) for section in SECTIONS]
    assert -1 not in places
    assert places == sorted(places)


def test_the_index_says_the_thresholds_of_the_code() -> None:
    from pushlane.cdk import health_alarms

    index = (RUNBOOKS / "README.md").read_text()
    for tier, percent in health_alarms.MISSES_PERCENT.items():
        assert f"{percent} % ({tier})" in index
    assert f"at least {health_alarms.ENDS_MIN} tasks" in index
    assert f"more than {health_alarms.TABLE_THROTTLES_A_MINUTE} times a minute" in index
    assert health_alarms.LONGEST_WAIT_MS == 60 * 60 * 1000
    assert "more than an hour" in index
    assert (health_alarms.STREAM_AGE_MS, health_alarms.QUEUE_AGE_SECONDS) == (60_000, 120)
    assert "more than a minute behind" in index
    assert "more than two minutes" in index


def test_every_alarm_is_told_to_the_one_topic(prod: Templates) -> None:
    topic = prod.only("AWS::SNS::Topic", named="AlarmsTopic")
    for alarm in alarms(prod):
        assert [prod.target(one, alarm.stack) for one in alarm.properties["AlarmActions"]] == [topic]
        assert "(prod)" in alarm.properties["AlarmDescription"]


def test_every_function_that_is_throttled_raises_an_alarm(prod: Templates) -> None:
    """Agents of later stacks included."""
    assert watched(prod, "Throttles") == ids(functions(prod))


def test_every_table_that_is_throttled_raises_an_alarm(prod: Templates) -> None:
    tables = ids(prod.resources("AWS::DynamoDB::Table"))
    assert watched(prod, "ReadThrottleEvents") == watched(prod, "WriteThrottleEvents") == tables


def test_every_reader_of_a_stream_that_falls_behind_raises_an_alarm(prod: Templates) -> None:
    readers = {
        (one.stack, prod.target(one.properties["FunctionName"], one.stack).logical_id)
        for one in prod.resources("AWS::Lambda::EventSourceMapping")
        if prod.target(one.properties["EventSourceArn"], one.stack).kind != "AWS::SQS::Queue"
    }
    assert len(readers) == 2
    assert watched(prod, "IteratorAge") == readers


def test_queues_that_must_be_taken_from_at_once_raise_an_alarm_by_age(prod: Templates) -> None:
    found = {logical_id for _, logical_id in watched(prod, "ApproximateAgeOfOldestMessage")}
    labels = {re.sub(r"[0-9A-F]{8}$", "", one) for one in found}
    intake = {f"ChannelsIntake{number}" for number in range(8)}
    assert labels == {*intake, "ChannelsResults", "ChannelsEvents", "ChannelsOutbound"}


def test_a_sweep_that_is_silent_is_alarming(prod: Templates) -> None:
    (alarm,) = alarms(prod, "sweep-not-running")
    assert alarm.properties["TreatMissingData"] == "breaching"
    assert (alarm.properties["ComparisonOperator"], alarm.properties["Threshold"]) == ("LessThanThreshold", 1)
    assert {one for _, one in watched(prod, "Invocations")} == {
        one.logical_id for one in functions(prod) if "SweepFunction" in one.logical_id
    }


def test_silence_of_anything_else_is_not(prod: Templates) -> None:
    for alarm in alarms(prod):
        if page_of(alarm) != "sweep-not-running":
            assert alarm.properties["TreatMissingData"] == "notBreaching"


def test_deadlines_have_an_alarm_for_each_tier_and_the_more_urgent_is_the_stricter(prod: Templates) -> None:
    found = {tier_of(one): one.properties["Threshold"] for one in alarms(prod, "deadline-misses")}
    assert list(found) == ["critical", "high", "normal", "low", "background"]
    assert list(found.values()) == sorted(found.values())


def tier_of(alarm: Resource) -> str:
    tiers = {one["Value"] for metric in measured(alarm) for one in metric["Dimensions"] if one["Name"] == "tier"}
    (tier,) = tiers
    assert names(alarm) == {metrics.DEADLINE_MET, metrics.DEADLINE_MISSED}
    return str(tier)


@pytest.mark.parametrize(
    ("page", "metric"),
    [
        ("waiting-with-idle-capacity", metrics.POOL_WAITING_WITH_IDLE_CAPACITY),
        ("stalled-pool", metrics.POOL_STALLED),
        ("starvation", metrics.POOL_LONGEST_WAIT_MS),
    ],
)
def test_pools_are_watched_by_the_worst_of_the_stage(prod: Templates, page: str, metric: str) -> None:
    (alarm,) = alarms(prod, page)
    (found,) = measured(alarm)
    assert (found["Namespace"], found["MetricName"]) == (metrics.NAMESPACE, metric)
    assert found["Dimensions"] == [{"Name": "stage", "Value": "prod"}]
    assert (found["Statistic"], found["Period"]) == ("Maximum", 60)


def test_what_watches_never_keeps_another_stack_from_being_changed(prod: Templates) -> None:
    """An import would: CloudFormation refuses to remove an export while somebody imports it."""
    text = json.dumps(prod.stacks[STACK])
    assert "Fn::ImportValue" not in text
    assert "Fn::GetStackOutput" in text
    for name, template in prod.stacks.items():
        assert name == STACK or f"{STACK}" not in json.dumps(template)


def test_an_emulator_has_neither_alarms_nor_a_dashboard(local: Templates) -> None:
    assert not local.resources("AWS::CloudWatch::Alarm")
    assert not local.resources("AWS::CloudWatch::Dashboard")
    assert not [name for name in local.stacks if "Observability" in name]


def test_our_own_metrics_that_are_watched_are_written(prod: Templates) -> None:
    """By the dimensions that they are watched by, as the log lines say; those of deadlines have a test of their own."""
    written = {
        (metric["Name"], *sorted(dimensions))
        for line in [*task_metrics([observation()], "prod"), *pool_metrics([sample()], "prod")]
        for directive in line["_aws"]["CloudWatchMetrics"]
        for dimensions in directive["Dimensions"]
        for metric in directive["Metrics"]
    }
    of_alarms = {
        (one["MetricName"], *sorted(dimension["Name"] for dimension in one["Dimensions"]))
        for alarm in alarms(prod)
        for one in measured(alarm)
        if one["Namespace"] == metrics.NAMESPACE
    }
    of_dashboard = {
        (line[1], *sorted(line[2 : 2 + 2 * ((len(line) - 2) // 2) : 2]))
        for line in lines(body_of_dashboard(prod))
        if line[0] == metrics.NAMESPACE
    }
    deadlines = {(name, "stage", "tier") for name in (metrics.DEADLINE_MET, metrics.DEADLINE_MISSED)}
    assert (of_alarms | of_dashboard) - deadlines <= written
    assert len(of_alarms) == 6
    assert len(of_dashboard) >= 8


def observation() -> Observation:
    durations = dict.fromkeys(("pickup", "ingest", "dispatch", "run", "unblock"), 1)
    counts = {"retried": 1, "dead_lettered": 1}
    return Observation(
        mark="m",
        tenant_id="atlas",
        tier="normal",
        task_type="echo",
        pool="default",
        at_ms=1,
        durations_ms=durations,
        counts=counts,
    )


def sample() -> PoolSample:
    return PoolSample(pool="default", at_ms=1, slots=1, used=0, waiting=0)


# The dashboard.


def body_of_dashboard(templates: Templates) -> dict[str, Any]:
    """With every reference as the logical id that it leads to."""
    dashboard = templates.only("AWS::CloudWatch::Dashboard")
    parts = dashboard.properties["DashboardBody"]["Fn::Join"][1]
    text = "".join(part if isinstance(part, str) else _shown(templates, part, dashboard.stack) for part in parts)
    body: dict[str, Any] = json.loads(text)
    return body


def _shown(templates: Templates, part: Any, stack: str) -> str:
    pseudo = str(part.get("Ref", ""))
    return pseudo if pseudo.startswith("AWS::") else templates.target(part, stack).logical_id


def lines(body: dict[str, Any]) -> Iterator[list[Any]]:
    for widget in body["widgets"]:
        yield from widget["properties"].get("metrics", [])


def expressions(body: dict[str, Any]) -> Iterator[str]:
    for line in lines(body):
        yield from (one["expression"] for one in line if isinstance(one, dict) and "expression" in one)


def test_the_dashboard_shows_every_function_table_and_queue(prod: Templates) -> None:
    text = json.dumps(body_of_dashboard(prod))
    tables = prod.resources("AWS::DynamoDB::Table")
    ours = [one for one in functions(prod) if one.stack != "Pushlane-Prod-Agents"]
    queues = [one for one in prod.resources("AWS::SQS::Queue") if one.stack == "Pushlane-Prod-Channels"]
    assert len(tables) + len(ours) + len(queues) > 30
    for one in (*tables, *ours, *queues):
        assert one.logical_id in text, one.logical_id


def test_the_dashboard_finds_pools_and_agents_queues_by_their_names(prod: Templates) -> None:
    found = [one for one in expressions(body_of_dashboard(prod)) if one.startswith("SEARCH(")]
    pools = [one for one in found if "{Pushlane,stage,pool}" in one]
    for name in (metrics.POOL_WAITING, metrics.POOL_LONGEST_WAIT_MS, metrics.POOL_SLOTS, metrics.POOL_SLOTS_USED):
        assert any(f'MetricName="{name}" stage="prod"' in one for one in pools)
    assert any('"pushlane-prod-agent-"' in one for one in found)


def test_no_title_is_shown_twice_and_widgets_do_not_overlap(prod: Templates) -> None:
    widgets = body_of_dashboard(prod)["widgets"]
    titles = [one["properties"]["title"] for one in widgets if "title" in one["properties"]]
    assert len(set(titles)) == len(titles) >= 12
    places = [(one["x"], one["y"]) for one in widgets]
    assert len(set(places)) == len(places)
    assert all(one["x"] + one["width"] <= 24 for one in widgets)
