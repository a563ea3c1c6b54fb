"""Every path ends in a dead-letter queue and every dead-letter queue has an alarm: found in the templates, not listed,
so that what is added later is held to it as well.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pushlane.model.dead_letters import DeadLetterKind, DeadLetterPlace, dead_letter_place
from tests.infrastructure.templates import Resource, Templates

pytestmark = pytest.mark.xdist_group("infrastructure")  # what these tests share is expensive

# Services that call a function asynchronously: what fails there is gone unless the function says where it goes.
ASYNCHRONOUS = ("events.amazonaws.com", "sns.amazonaws.com", "s3.amazonaws.com", "scheduler.amazonaws.com")


@dataclass(frozen=True)
class Way:
    """One way of a message, and the ARN of the queue where it ends when it cannot go on (None: it is lost)."""

    name: str
    stack: str
    end: Mapping[str, Any] | None


def ways(templates: Templates) -> Iterator[Way]:
    """Every way that there is, of every kind that Pushlane's templates can have."""
    yield from ways_through_queues(templates)
    for rule in templates.resources("AWS::Events::Rule"):
        for target in rule.properties["Targets"]:
            yield Way(f"{rule.logical_id}/{target['Id']}", rule.stack, target.get("DeadLetterConfig", {}).get("Arn"))
    for one in templates.resources("AWS::SNS::Subscription"):
        yield Way(one.logical_id, one.stack, one.properties.get("RedrivePolicy", {}).get("deadLetterTargetArn"))
    for one in templates.resources("AWS::Scheduler::Schedule"):
        config = one.properties["Target"].get("DeadLetterConfig", {})
        yield Way(one.logical_id, one.stack, config.get("Arn"))
    for one in called_asynchronously(templates):
        yield Way(one.logical_id, one.stack, end_of_calls(templates, one))


def ways_through_queues(templates: Templates) -> Iterator[Way]:
    """A queue that a function consumes ends by its redrive policy, a stream by the mapping's destination."""
    for mapping in templates.resources("AWS::Lambda::EventSourceMapping"):
        source = templates.target(mapping.properties["EventSourceArn"], mapping.stack)
        if source.kind == "AWS::SQS::Queue":
            yield Way(source.logical_id, source.stack, end_of_queue(source))
        else:
            on_failure = mapping.properties.get("DestinationConfig", {}).get("OnFailure", {})
            yield Way(mapping.logical_id, mapping.stack, on_failure.get("Destination"))


def end_of_queue(queue: Resource) -> Mapping[str, Any] | None:
    end: Mapping[str, Any] | None = queue.properties.get("RedrivePolicy", {}).get("deadLetterTargetArn")
    return end


def called_asynchronously(templates: Templates) -> list[Resource]:
    """Functions that a schedule, a rule, a topic, a bucket or CloudFormation (a custom resource) calls."""
    called = [
        templates.target(one.properties["FunctionName"], one.stack)
        for one in templates.resources("AWS::Lambda::Permission")
        if one.properties["Principal"] in ASYNCHRONOUS
    ]
    for one in templates.resources():
        found = one.properties.get("Target", {}).get("Arn") if one.kind == "AWS::Scheduler::Schedule" else None
        if (target := found or one.properties.get("ServiceToken")) is not None:
            called += [templates.target(target, one.stack)]
    return list({(one.stack, one.logical_id): one for one in called}.values())


def end_of_calls(templates: Templates, function: Resource) -> Mapping[str, Any] | None:
    for one in templates.resources("AWS::Lambda::EventInvokeConfig"):
        if templates.target(one.properties["FunctionName"], one.stack) == function:
            on_failure = one.properties.get("DestinationConfig", {}).get("OnFailure", {})
            end: Mapping[str, Any] | None = on_failure.get("Destination")
            return end
    return None


def last_resorts(templates: Templates) -> list[Resource]:
    """Queues from which nothing goes on by itself."""
    return [queue for queue in templates.resources("AWS::SQS::Queue") if end_of_queue(queue) is None]


def watched(templates: Templates) -> list[Resource]:
    """The queues whose visible messages raise an alarm that reaches the topic."""
    topic = templates.only("AWS::SNS::Topic", named="AlarmsTopic")
    found = []
    for alarm in dead_letter_alarms(templates):
        properties = alarm.properties
        (dimension,) = properties["Dimensions"]
        assert [templates.target(one, alarm.stack) for one in properties["AlarmActions"]] == [topic]
        assert (properties["ComparisonOperator"], properties["Threshold"]) == ("GreaterThanThreshold", 0)
        assert properties["TreatMissingData"] == "notBreaching"
        assert properties["EvaluationPeriods"] * properties["Period"] <= 60
        found.append(templates.target(dimension["Value"], alarm.stack))
    return found


def dead_letter_alarms(templates: Templates) -> list[Resource]:
    """The alarms whose page is that of the dead letters; others watch how the whole does."""
    alarms = templates.resources("AWS::CloudWatch::Alarm")
    found = [one for one in alarms if one.properties.get("MetricName") == "ApproximateNumberOfMessagesVisible"]
    page = "docs/runbooks/dead-letters.md"
    assert found == [one for one in alarms if page in one.properties["AlarmDescription"]]
    return found


@pytest.mark.parametrize("stage", ["local", "prod"])
def test_every_way_ends_in_a_queue_from_which_nothing_goes_on_by_itself(
    request: pytest.FixtureRequest, stage: str
) -> None:
    templates: Templates = request.getfixturevalue(stage)
    found = list(ways(templates))
    lost = [way.name for way in found if way.end is None]
    assert not lost
    ends = last_resorts(templates)
    for way in found:
        assert way.end is not None
        assert templates.target(way.end, way.stack) in ends, way.name
    # What the enumeration has to have seen, so that it cannot become empty unnoticed.
    assert len(found) >= {"local": 20, "prod": 35}[stage]
    assert {one.logical_id[:-8] for one in called_asynchronously(templates)} >= {
        "RoutingSweepFunction",
        "RoutingRegistryFunction",
    }


@pytest.mark.parametrize("stage", ["local", "prod"])
def test_a_queue_without_a_dead_letter_queue_is_one(request: pytest.FixtureRequest, stage: str) -> None:
    """No function consumes it, and operators find it by the output of its stack."""
    templates: Templates = request.getfixturevalue(stage)
    named = {place.url for place, _ in places(templates)}
    for queue in last_resorts(templates):
        assert queue.logical_id in named
    assert len(named) == len(last_resorts(templates))


def test_every_dead_letter_queue_has_one_alarm(prod: Templates) -> None:
    alarmed = watched(prod)
    assert len(alarmed) == len(last_resorts(prod))
    for queue in last_resorts(prod):
        assert queue in alarmed, queue.logical_id


def test_an_alarm_says_what_to_run(prod: Templates) -> None:
    named = {place.name for place, _ in places(prod)}
    for alarm in dead_letter_alarms(prod):
        description = alarm.properties["AlarmDescription"]
        assert any(f"pushlane dlq show {name} --stage prod" in description for name in named)


def test_alarms_may_publish_and_plain_transport_is_refused(prod: Templates) -> None:
    (policy,) = prod.resources("AWS::SNS::TopicPolicy", named="AlarmsTopic")
    statements = policy.properties["PolicyDocument"]["Statement"]
    (publishing,) = [one for one in statements if one["Effect"] == "Allow"]
    assert publishing["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert publishing["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    (denying,) = [one for one in statements if one["Effect"] == "Deny"]
    assert denying["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_an_emulator_gets_no_alarms(local: Templates) -> None:
    assert not local.resources("AWS::CloudWatch::Alarm")
    assert not local.resources(named="AlarmsTopic")


@pytest.mark.parametrize("stage", ["local", "prod"])
def test_dead_letters_know_the_one_queue_that_they_came_from(request: pytest.FixtureRequest, stage: str) -> None:
    templates: Templates = request.getfixturevalue(stage)
    sources: dict[tuple[str, str], list[str]] = {}
    for queue in templates.resources("AWS::SQS::Queue"):
        if (end := end_of_queue(queue)) is not None:
            dead = templates.target(end, queue.stack)
            sources.setdefault((dead.stack, dead.logical_id), []).append(queue.logical_id)
    for place, stack in places(templates):
        if place.name == "schedules":  # what EventBridge Scheduler could not send to the wake-ups
            assert str(place.back_to).startswith("ChannelsWakeups")
        elif place.kind is DeadLetterKind.QUEUE:
            assert sources[(stack, place.url)] == [place.back_to], place.name
        else:
            assert place.back_to is None, place.name


def test_names_of_dead_letters_are_unique(prod: Templates) -> None:
    names = [place.name for place, _ in places(prod)]
    assert len(set(names)) == len(names)
    assert {"intake", "undelivered", "held", "results", "wakeups", "quarantine", "stream", "sweep"} < set(names)
    assert {"agent/extract", "tasks-changes", "attempts-changes", "registry", "events"} < set(names)


def places(templates: Templates) -> list[tuple[DeadLetterPlace, str]]:
    """What the outputs say, with logical ids in the place of URLs, and in which stack."""
    found = []
    for stack, template in templates.stacks.items():
        value = template.get("Outputs", {}).get("DeadLetterQueues", {}).get("Value")
        if value is not None:
            found += [(dead_letter_place(entry), stack) for entry in joined(templates, value, stack).split(",")]
    return found


def joined(templates: Templates, value: Mapping[str, Any], stack: str) -> str:
    parts = value["Fn::Join"][1]
    return "".join(part if isinstance(part, str) else templates.target(part, stack).logical_id for part in parts)


# The enumeration itself: it must notice what is missing.


def altered(templates: Templates, kind: str, drop: str) -> Templates:
    """The same templates, with one property of all resources of a kind left out."""
    stacks = json.loads(json.dumps(templates.stacks))
    for stack in stacks.values():
        for body in stack["Resources"].values():
            if body["Type"] == kind:
                body["Properties"].pop(drop, None)
                for target in [body["Properties"].get("Target", {}), *body["Properties"].get("Targets", [])]:
                    target.pop(drop, None)
    return Templates(Path(templates.folder), stacks)


@pytest.mark.parametrize(
    ("kind", "drop"),
    [
        ("AWS::SQS::Queue", "RedrivePolicy"),
        ("AWS::SNS::Subscription", "RedrivePolicy"),
        ("AWS::Lambda::EventSourceMapping", "DestinationConfig"),
        ("AWS::Lambda::EventInvokeConfig", "DestinationConfig"),
        ("AWS::Scheduler::Schedule", "DeadLetterConfig"),
        ("AWS::Events::Rule", "DeadLetterConfig"),
    ],
)
def test_a_way_without_an_end_is_noticed(prod: Templates, kind: str, drop: str) -> None:
    assert any(way.end is None for way in ways(altered(prod, kind, drop)))
