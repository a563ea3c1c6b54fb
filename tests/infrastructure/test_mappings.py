"""Event source mappings: batches, concurrency, and what happens to records that cannot be handled."""

import json
from typing import Any

import pytest

from tests.infrastructure.templates import Resource, Templates

pytestmark = pytest.mark.xdist_group("infrastructure")  # what these tests share is expensive


def mappings(templates: Templates, source: str) -> list[Resource]:
    found = templates.resources("AWS::Lambda::EventSourceMapping")
    return [one for one in found if source in templates.target(one.properties["EventSourceArn"], one.stack).logical_id]


def test_the_router_takes_batches_and_reports_single_failures(prod: Templates) -> None:
    queues = [*mappings(prod, "ChannelsIntake"), *mappings(prod, "ChannelsResults"), *mappings(prod, "ChannelsWakeups")]
    assert len(queues) == 8 + 2
    for mapping in queues:
        assert mapping.properties["BatchSize"] == 10
        assert "MaximumBatchingWindowInSeconds" not in mapping.properties  # waiting to fill a batch is latency
        assert mapping.properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert mapping.properties["ScalingConfig"]["MaximumConcurrency"] >= 2


def test_the_streamer_takes_whole_batches_and_reports_what_has_to_come_again(prod: Templates) -> None:
    (mapping,) = mappings(prod, "ChannelsEvents")
    assert "Streamer" in prod.target(mapping.properties["FunctionName"], mapping.stack).logical_id
    assert mapping.properties["BatchSize"] == 10  # the most of a FIFO queue
    assert mapping.properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping.properties["ScalingConfig"]["MaximumConcurrency"] >= 2


def assert_never_blocks(templates: Templates, mapping: Resource) -> None:
    properties = mapping.properties
    assert properties["BatchSize"] == 100
    assert properties["BisectBatchOnFunctionError"] is True
    assert 0 < properties["MaximumRetryAttempts"] <= 100
    assert properties["MaximumRecordAgeInSeconds"] < 24 * 3600  # within the stream's retention
    assert properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert properties["StartingPosition"] == "TRIM_HORIZON"
    destination = properties["DestinationConfig"]["OnFailure"]["Destination"]
    assert "StreamDeadLetters" in templates.target(destination, mapping.stack).logical_id


def test_a_bad_record_never_blocks_the_ingest_stream(prod: Templates) -> None:
    (mapping,) = mappings(prod, "ChannelsStream")
    assert_never_blocks(prod, mapping)
    assert mapping.properties["ParallelizationFactor"] > 1


def test_the_lifecycle_sees_created_and_changed_tasks_but_no_expired_ones(prod: Templates) -> None:
    (mapping,) = mappings(prod, "StateTasks")
    assert_never_blocks(prod, mapping)
    assert patterns(mapping) == [{"eventName": ["INSERT", "MODIFY"]}]


def test_the_lifecycle_sees_of_an_attempt_only_its_start(prod: Templates, local: Templates) -> None:
    (mapping,) = mappings(prod, "StateAttempts")
    assert_never_blocks(prod, mapping)
    started = {"runner": {"S": [{"exists": True}]}}
    not_yet = {"runner": {"S": [{"exists": False}]}}
    assert patterns(mapping) == [{"eventName": ["MODIFY"], "dynamodb": {"NewImage": started, "OldImage": not_yet}}]
    (on_the_emulator,) = patterns(mappings(local, "StateAttempts")[0])
    assert on_the_emulator["dynamodb"]["OldImage"] == {"runner": [{"exists": False}]}


def patterns(mapping: Resource) -> list[dict[str, Any]]:
    return [json.loads(one["Pattern"]) for one in mapping.properties["FilterCriteria"]["Filters"]]


def test_an_agent_gets_one_task_an_invocation(prod: Templates) -> None:
    slots = {"Extract": 4, "Summarize": 2, "Digest": 2}
    for name, expected in slots.items():
        (mapping,) = mappings(prod, f"{name}Dispatch")
        assert mapping.properties["BatchSize"] == 1
        assert mapping.properties["ScalingConfig"] == {"MaximumConcurrency": max(2, expected)}


def test_the_sweep_runs_every_minute_and_is_not_repeated(prod: Templates) -> None:
    schedule = prod.only("AWS::Scheduler::Schedule")
    assert schedule.properties["ScheduleExpression"] == "rate(1 minute)"
    target = schedule.properties["Target"]
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 2}
    dead_letters = prod.target(target["DeadLetterConfig"]["Arn"], schedule.stack)
    assert "ScheduleDeadLetters" in dead_letters.logical_id
    function = prod.target(target["Arn"], schedule.stack)
    assert function.properties["Timeout"] == 55
    invocation = prod.only("AWS::Lambda::EventInvokeConfig", named="Sweep")
    assert invocation.properties["MaximumRetryAttempts"] == 0


def test_an_agent_is_registered_when_it_can_receive_and_removed_before_it_cannot(prod: Templates) -> None:
    registrations = prod.resources("Custom::PushlaneAgent")
    assert {one.properties["AgentId"] for one in registrations} == {"extract", "summarize", "digest"}
    for one in registrations:
        assert any("Dispatches" in name for name in one.body["DependsOn"])
        assert one.properties["Capabilities"] == [one.properties["AgentId"]]
        queue = prod.target(one.properties["QueueUrl"], one.stack)
        assert queue.properties["QueueName"].endswith(f"-agent-{one.properties['AgentId']}")
        registry = prod.target(one.properties["ServiceToken"], one.stack)
        assert int(one.properties["ServiceTimeout"]) > registry.properties["Timeout"]
