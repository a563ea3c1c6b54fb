"""Policies that come over the bus: routed to the router, which may write them only where the doors are trusted."""

import pytest

from tests.infrastructure.templates import Templates

pytestmark = pytest.mark.xdist_group("infrastructure")  # what these tests share is expensive


def test_policies_come_through_intake_queue_0_whole_and_what_cannot_be_delivered_is_kept(prod: Templates) -> None:
    rule = prod.only("AWS::Events::Rule", named="ChannelsPolicies")
    assert rule.properties["EventPattern"] == {"detail-type": ["SetPolicy"]}
    (target,) = rule.properties["Targets"]
    assert prod.target(target["Arn"], rule.stack).logical_id.startswith("ChannelsIntake0")
    assert "Undelivered" in prod.target(target["DeadLetterConfig"]["Arn"], rule.stack).logical_id
    assert not {"Input", "InputPath", "InputTransformer"} & target.keys()


@pytest.mark.parametrize(("stage", "may"), [("local", True), ("prod", False)])
def test_the_router_may_write_a_policy_only_where_it_takes_one_from_the_bus(
    request: pytest.FixtureRequest, stage: str, may: bool
) -> None:
    templates: Templates = request.getfixturevalue(stage)
    router = templates.only("AWS::Lambda::Function", named="RouterFunction")
    writing = [
        statement
        for statement in templates.statements(templates.role_of(router))
        if "dynamodb:PutItem" in statement["Action"] and "StateConfig" in str(statement["Resource"])
    ]
    assert bool(writing) is may
