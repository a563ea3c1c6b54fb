"""Doors of one tenant, and shared doors that are bound to named principals."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

from tests.infrastructure.templates import Resource, Templates, actions

pytestmark = pytest.mark.xdist_group("infrastructure")  # what these tests share is expensive

Bare = Callable[[], AbstractContextManager[None]]

ATLAS = "arn:aws:iam::111122223333:role/atlas"
BOREA = "arn:aws:iam::111122223333:role/borea"
SHARED = ["arn:aws:iam::111122223333:role/a", "arn:aws:iam::444455556666:role/b"]


@pytest.fixture(scope="module")
def doors(context: dict[str, Any], bare: Bare, tmp_path_factory: pytest.TempPathFactory) -> Templates:
    import aws_cdk as cdk

    from pushlane.cdk import Dispatcher, TenantDoor

    folder = tmp_path_factory.mktemp("doors")
    more = {"stage": "dev", "api": False, "producers": ", ".join(SHARED), "build_dir": str(folder / "build")}
    app = cdk.App(context={**context, **more}, outdir=str(folder / "out"))
    with bare():
        dispatcher = Dispatcher(cdk.Stack(app, "Doors"), "Pushlane")
        TenantDoor(dispatcher, tenant_id="atlas", principals=[ATLAS], bus=True)
        TenantDoor(dispatcher, tenant_id="borea.eu", principals=[BOREA])
        app.synth()
    return Templates.read(folder / "out")


def queue_of(doors: Templates, tenant: str) -> Resource:
    return doors.only("AWS::SQS::Queue", f"Door{tenant}Queue")


def statements(doors: Templates, kind: str, resource: Resource) -> list[dict[str, Any]]:
    """What the resource policies of a queue, topic or stream say, but for what refuses plain transport."""
    found: list[dict[str, Any]] = []
    for policy in doors.resources(kind):
        said = policy.properties
        of = [*said.get("Queues", []), *said.get("Topics", []), said.get("ResourceArn")]
        if any(one and doors.target(one, policy.stack) == resource for one in of):
            document = said.get("PolicyDocument") or said["ResourcePolicy"]
            found += [one for one in document["Statement"] if "aws:SecureTransport" not in str(one)]
    return found


def arns(principal: Any) -> list[str]:
    said = principal["AWS"]
    return [said] if isinstance(said, str) else list(said)


def test_the_router_takes_from_each_door_and_knows_whose_it_is(doors: Templates) -> None:
    router = doors.only("AWS::Lambda::Function", "RouterFunction")
    said = router.properties["Environment"]["Variables"]["PUSHLANE_TENANT_DOORS"]["Fn::Join"][1]
    for tenant, named in (("atlas", "atlas"), ("boreaeu", "borea.eu")):
        queue = queue_of(doors, tenant)
        place = said.index({"Fn::GetAtt": [queue.logical_id, "Arn"]})
        assert said[place + 1].startswith(f"={named}")
        taking = [
            one
            for one in doors.resources("AWS::Lambda::EventSourceMapping")
            if one.properties["EventSourceArn"] == {"Fn::GetAtt": [queue.logical_id, "Arn"]}
        ]
        assert [doors.target(one.properties["FunctionName"], one.stack) for one in taking] == [router]
        assert taking[0].properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    rights = [one for one in doors.statements(doors.role_of(router)) if "sqs:ReceiveMessage" in actions(one)]
    assert "Dooratlas" in str(rights)


def test_a_door_has_dead_letters_of_its_own_that_go_back_to_it(doors: Templates) -> None:
    queue = queue_of(doors, "atlas")
    dead_letters = doors.target(queue.properties["RedrivePolicy"]["deadLetterTargetArn"], queue.stack)
    assert "Dooratlas" in dead_letters.logical_id
    places = str(doors.outputs()["DeadLetterQueues"])
    assert "door-atlas queue " in places
    assert "door-borea.eu queue " in places


@pytest.mark.parametrize(("tenant", "principal"), [("atlas", ATLAS), ("boreaeu", BOREA)])
def test_only_the_tenants_principals_and_aws_itself_may_send(doors: Templates, tenant: str, principal: str) -> None:
    said = statements(doors, "AWS::SQS::QueuePolicy", queue_of(doors, tenant))
    allowed = [arns(one["Principal"]) for one in said if one["Effect"] == "Allow" and "AWS" in one["Principal"]]
    assert allowed == [[principal]]
    (denied,) = [one for one in said if one["Effect"] == "Deny"]
    assert (denied["Principal"], actions(denied)) == ({"AWS": "*"}, ["sqs:SendMessage"])
    assert denied["Condition"] == {
        "ArnNotLike": {"aws:PrincipalArn": [principal]},
        "Bool": {"aws:PrincipalIsAWSService": "false"},
    }


def test_the_tenants_source_goes_to_its_door_and_to_no_shared_queue(doors: Templates) -> None:
    (rule,) = doors.resources("AWS::Events::Rule", "DooratlasRule")
    assert rule.properties["EventPattern"]["source"] == ["tenant.atlas"]
    assert {"SubmitTask", "SubmitWorkflow", "CancelTask"} <= set(rule.properties["EventPattern"]["detail-type"])
    (target,) = rule.properties["Targets"]
    assert doors.target(target["Arn"], rule.stack) == queue_of(doors, "atlas")
    assert "DeadLetters" in doors.target(target["DeadLetterConfig"]["Arn"], rule.stack).logical_id
    shared = doors.resources("AWS::Events::Rule", "ChannelsSubmissions")
    assert len(shared) == 4
    for one in shared:
        assert one.properties["EventPattern"]["source"] == [{"anything-but": ["tenant.atlas"]}]


def test_only_the_tenants_principals_may_put_events_of_its_source(doors: Templates) -> None:
    allowed, denied = (doors.only("AWS::Events::EventBusPolicy", f"DooratlasBus{one}") for one in ("Allow", "Deny"))
    said = allowed.properties["Statement"]
    assert (arns(said["Principal"]), said["Action"]) == ([ATLAS], "events:PutEvents")
    assert said["Condition"] == {"StringEquals": {"events:source": "tenant.atlas"}}
    said = denied.properties["Statement"]
    assert (said["Effect"], said["Principal"]) == ("Deny", {"AWS": "*"})
    assert said["Condition"]["ForAnyValue:StringEquals"] == {"events:source": "tenant.atlas"}
    assert said["Condition"]["ArnNotLike"] == {"aws:PrincipalArn": [ATLAS]}
    assert allowed.properties["StatementId"] != denied.properties["StatementId"]


OTHERS = {
    "ArnNotLike": {"aws:PrincipalArn": SHARED},
    "Bool": {"aws:PrincipalIsAWSService": "false"},
    "StringNotEquals": {"aws:PrincipalTag/pushlane:stage": "dev"},
}


@pytest.mark.parametrize(
    ("kind", "policy", "named", "count", "action"),
    [
        ("AWS::SQS::Queue", "AWS::SQS::QueuePolicy", "ChannelsIntake", 4, ["sqs:SendMessage"]),
        ("AWS::SNS::Topic", "AWS::SNS::TopicPolicy", "ChannelsIntakeTopic", 4, ["sns:Publish"]),
        (
            "AWS::Kinesis::Stream",
            "AWS::Kinesis::ResourcePolicy",
            "ChannelsStream",
            1,
            ["kinesis:PutRecord", "kinesis:PutRecords"],
        ),
    ],
)
def test_shared_doors_are_bound_to_the_listed_producers_and_the_installations_roles(
    doors: Templates, kind: str, policy: str, named: str, count: int, action: list[str]
) -> None:
    found = [one for one in doors.resources(kind, named) if "DeadLetters" not in one.logical_id]
    assert len(found) == count
    for one in found:
        said = statements(doors, policy, one)
        (denied,) = [each for each in said if each["Effect"] == "Deny"]
        assert (denied["Principal"], actions(denied), denied["Condition"]) == ({"AWS": "*"}, action, OTHERS)
        (allowed,) = [each for each in said if each["Effect"] == "Allow" and "AWS" in each["Principal"]]
        assert (arns(allowed["Principal"]), actions(allowed)) == (SHARED, action)


def test_the_bus_is_bound_to_them_too(doors: Templates) -> None:
    allowed, denied = (doors.only("AWS::Events::EventBusPolicy", f"ProducersBus{one}") for one in ("Allow", "Deny"))
    assert arns(allowed.properties["Statement"]["Principal"]) == SHARED
    assert denied.properties["Statement"]["Condition"] == OTHERS


def test_the_roles_of_functions_carry_the_tag_that_doors_know_them_by(doors: Templates) -> None:
    for function in doors.resources("AWS::Lambda::Function", "Function"):
        role = doors.role_of(function)
        if "Tags" in function.properties:
            assert {"Key": "pushlane:stage", "Value": "dev"} in role.properties["Tags"], role.logical_id
    assert doors.role_of(doors.only("AWS::Lambda::Function", "RouterFunction")).properties["Tags"]


def test_without_a_list_doors_are_bound_by_identities_rights_alone(prod: Templates) -> None:
    assert prod.resources("AWS::Events::EventBusPolicy") == []
    assert prod.resources("AWS::Kinesis::ResourcePolicy") == []
    assert "aws:PrincipalArn" not in str([one.body for one in prod.resources("AWS::SQS::QueuePolicy")])
    router = prod.only("AWS::Lambda::Function", "RouterFunction")
    assert router.properties["Environment"]["Variables"]["PUSHLANE_TENANT_DOORS"] == ""


def test_a_door_without_principals_is_refused() -> None:
    from pushlane.cdk.producers import Producers

    with pytest.raises(ValueError, match="name at least one"):
        Producers([])
