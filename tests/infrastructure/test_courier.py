"""The courier: told by the facts that say so, tried as often as its own table says, and reaching nothing else."""

from typing import Any

import pytest

from pushlane.router.courier import RECEIVES_MAX, WAITS_SECONDS
from tests.infrastructure.templates import Resource, Templates

pytestmark = pytest.mark.xdist_group("infrastructure")  # what these tests share is expensive


def one(templates: Templates, kind: str, ending: str) -> Resource:
    (found,) = [each for each in templates.resources(kind) if each.logical_id.startswith(f"EdgeCourier{ending}")]
    return found


def test_a_fact_with_a_callback_goes_to_the_callbacks_and_nowhere_else(prod: Templates) -> None:
    rule = one(prod, "AWS::Events::Rule", "Told")
    assert rule.properties["EventPattern"] == {"detail": {"data": {"callback": [True]}}}
    [target] = rule.properties["Targets"]
    assert prod.target(target["Arn"], rule.stack).logical_id.startswith("EdgeCourierCallbacks")
    end = prod.target(target["DeadLetterConfig"]["Arn"], rule.stack)
    assert end.logical_id.startswith("EdgeCourierCallbacksDeadLetters")


def test_a_callback_is_tried_as_often_as_the_couriers_table_says(prod: Templates) -> None:
    queues = prod.resources("AWS::SQS::Queue")
    (queue,) = [
        each
        for each in queues
        if each.logical_id.startswith("EdgeCourierCallbacks") and "RedrivePolicy" in each.properties
    ]
    assert queue.properties["RedrivePolicy"]["maxReceiveCount"] == RECEIVES_MAX
    function = one(prod, "AWS::Lambda::Function", "Function")
    assert queue.properties["VisibilityTimeout"] >= 6 * function.properties["Timeout"]
    assert max(WAITS_SECONDS) * 1.2 < 12 * 3_600  # what SQS hides a message for at most


def test_both_queues_of_the_courier_report_their_failures_one_by_one(prod: Templates) -> None:
    function = one(prod, "AWS::Lambda::Function", "Function")
    mappings = [
        each
        for each in prod.resources("AWS::Lambda::EventSourceMapping")
        if prod.target(each.properties["FunctionName"], each.stack).logical_id == function.logical_id
    ]
    assert len(mappings) == 2
    assert all(each.properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"] for each in mappings)


def statements(templates: Templates) -> list[Any]:
    policy = one(templates, "AWS::IAM::Policy", "RoleDefaultPolicy")
    found: list[Any] = policy.properties["PolicyDocument"]["Statement"]
    return found


def test_the_courier_changes_nothing_but_the_visibility_of_its_messages(prod: Templates) -> None:
    actions = {
        action
        for statement in statements(prod)
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    services = {action.partition(":")[0] for action in actions}
    assert services <= {"dynamodb", "secretsmanager", "s3", "sqs", "logs", "xray"}
    assert {action for action in actions if action.startswith("dynamodb:")} == {
        "dynamodb:GetItem",
        "dynamodb:BatchGetItem",
        "dynamodb:Query",
    }
    assert "sqs:SendMessage" not in actions
    assert "s3:PutObject" not in actions


def test_there_is_no_courier_where_there_is_no_api(local: Templates) -> None:
    assert not [each for each in local.resources() if "Courier" in each.logical_id or "Outbound" in each.logical_id]
