"""Bus and topics: every submission reaches the intake queue of its slot, and what has none is not lost."""

from typing import Any

import pytest

from pushlane.model.commands import COMMANDS
from pushlane.model.ids import INTAKE_SLOTS
from tests.infrastructure.templates import Resource, Templates

pytestmark = pytest.mark.xdist_group("infrastructure")  # what these tests share is expensive

QUEUES = {"local": 2, "prod": 8}
UNSET = object()


def rules(templates: Templates) -> dict[str, Resource]:
    """The rules of the ingress bus, by the intake queue that they feed."""
    found: dict[str, Resource] = {}
    for rule in templates.resources("AWS::Events::Rule", named="Submissions"):
        (target,) = rule.properties["Targets"]
        found[templates.target(target["Arn"], rule.stack).logical_id[:-8]] = rule
    return found


def takes(detail: dict[str, Any] | None, said: object) -> bool:
    """Whether EventBridge matches an event whose `detail.metadata.intake` is `said`."""
    return detail is None or any(matches(one, said) for one in detail["metadata"]["intake"])


def taking(templates: Templates, said: object) -> list[str]:
    return [queue for queue, rule in rules(templates).items() if takes(rule.properties["EventPattern"]["detail"], said)]


def matches(condition: dict[str, Any], said: object) -> bool:
    match condition:
        case {"exists": False}:
            return said is UNSET
        case {"anything-but": values}:
            return said is not UNSET and said not in values
        case {"numeric": ["=", value]}:
            return bool(said == value)
        case _:
            raise AssertionError(f"no condition of these rules: {condition}")


@pytest.mark.parametrize("stage", QUEUES)
def test_each_slot_has_one_rule_and_each_queue_as_many_slots(request: pytest.FixtureRequest, stage: str) -> None:
    templates: Templates = request.getfixturevalue(stage)
    queues = QUEUES[stage]
    assert rules(templates).keys() == {f"ChannelsIntake{number}" for number in range(queues)}
    for slot in range(INTAKE_SLOTS):
        assert taking(templates, slot) == [f"ChannelsIntake{slot % queues}"]


@pytest.mark.parametrize("said", [UNSET, -1, 16, 99, 2.5, "1", "x", None])
def test_what_has_no_slot_goes_to_queue_0(prod: Templates, said: object) -> None:
    assert taking(prod, said) == ["ChannelsIntake0"]


def test_with_one_queue_the_slot_does_not_matter() -> None:
    from pushlane.cdk.channels import detail_pattern

    assert detail_pattern(0, 1) is None


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 4), (2, 16), (8, 4), (4, 1)])
def test_while_the_number_of_queues_changes_rule_by_rule_no_slot_is_without_one(before: int, after: int) -> None:
    """CloudFormation creates and updates in the order of the dependencies, and deletes at the end."""
    from pushlane.cdk.channels import detail_pattern

    standing = {number: detail_pattern(number, before) for number in range(before)}
    for number in reversed(range(after)):
        standing[number] = detail_pattern(number, after)
        for said in (UNSET, *range(INTAKE_SLOTS)):
            assert any(takes(pattern, said) for pattern in standing.values()), (number, said)


def test_a_rule_gives_slots_away_only_after_the_rule_that_takes_them(prod: Templates) -> None:
    found = rules(prod)
    for number in range(QUEUES["prod"] - 1):
        later = found[f"ChannelsIntake{number + 1}"].logical_id
        assert later in found[f"ChannelsIntake{number}"].body["DependsOn"]


def test_the_bus_door_delivers_whole_events_and_keeps_what_it_cannot_deliver(prod: Templates) -> None:
    for rule in rules(prod).values():
        assert set(rule.properties["EventPattern"]["detail-type"]) == {"SubmitTask", "SubmitWorkflow", *COMMANDS}
        (target,) = rule.properties["Targets"]
        assert "Undelivered" in prod.target(target["DeadLetterConfig"]["Arn"], rule.stack).logical_id
        assert not {"Input", "InputPath", "InputTransformer"} & target.keys()


def test_each_topic_feeds_its_queue_unfiltered_and_keeps_the_message_id_of_sns(prod: Templates) -> None:
    subscriptions = prod.resources("AWS::SNS::Subscription")
    fed = set()
    for one in subscriptions:
        assert not one.properties.get("RawMessageDelivery", False)
        assert "FilterPolicy" not in one.properties
        topic = prod.target(one.properties["TopicArn"], one.stack).logical_id[:-8]
        fed.add((topic, prod.target(one.properties["Endpoint"], one.stack).logical_id[:-8]))
        dead_letters = one.properties["RedrivePolicy"]["deadLetterTargetArn"]
        assert "Undelivered" in prod.target(dead_letters, one.stack).logical_id
    assert fed == {(f"ChannelsIntakeTopic{number}", f"ChannelsIntake{number}") for number in range(QUEUES["prod"])}


def test_outputs_list_queues_and_topics_in_the_order_of_their_numbers(prod: Templates) -> None:
    """The client picks by place."""
    for output, name in (("IntakeQueueUrls", "ChannelsIntake"), ("IntakeTopicArns", "ChannelsIntakeTopic")):
        (value,) = prod.outputs()[output]
        joined = value["Fn::Join"][1]
        named = [part["Ref"] for part in joined if isinstance(part, dict)]
        assert [one[:-8] for one in named] == [f"{name}{number}" for number in range(QUEUES["prod"])]


def test_what_was_held_comes_back_slowly_and_in_small_batches(prod: Templates) -> None:
    (mapping,) = [
        one
        for one in prod.resources("AWS::Lambda::EventSourceMapping")
        if "ChannelsHeld" in prod.target(one.properties["EventSourceArn"], one.stack).logical_id
    ]
    assert "RouterFunction" in prod.target(mapping.properties["FunctionName"], mapping.stack).logical_id
    assert mapping.properties["BatchSize"] == 5
    assert mapping.properties["ScalingConfig"] == {"MaximumConcurrency": 2}
    assert mapping.properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
