"""Agents behind each kind of endpoint that a Lambda function can have."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import pytest

from tests.infrastructure.templates import Templates

if TYPE_CHECKING:
    from pushlane.cdk.agent_function import AgentEndpoint

pytestmark = pytest.mark.xdist_group("infrastructure")  # what these tests share is expensive

Bare = Callable[[], AbstractContextManager[None]]
LONG = "a-name-that-is-as-long-as-an-agents-name-may-be.v2"

ENDPOINTS: "tuple[tuple[AgentEndpoint, str], ...]" = (("sqs", "queued"), ("lambda", LONG), ("sns", "told.v2"))

AGENT = """
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pushlane.model import task


def handler(event: Mapping[str, Any], _context: object) -> str:
    return task.DEFAULT_POOL
"""


@pytest.fixture(scope="module")
def agents(context: dict[str, Any], bare: Bare, tmp_path_factory: pytest.TempPathFactory) -> Templates:
    import aws_cdk as cdk

    from pushlane.cdk import AgentFunction, Dispatcher

    folder = tmp_path_factory.mktemp("endpoints")
    (folder / "translator.py").write_text(AGENT)
    app = cdk.App(context={**context, "stage": "dev", "build_dir": str(folder / "build")}, outdir=str(folder / "out"))
    with bare():
        stack = cdk.Stack(app, "Foreign")
        dispatcher = Dispatcher(stack, "Pushlane")
        for endpoint, agent_id in ENDPOINTS:
            AgentFunction(
                stack,
                endpoint.capitalize(),
                dispatcher=dispatcher,
                agent_id=agent_id,
                entry="translator",
                capabilities=["translate"],
                slots=2,
                source_root=folder,
                endpoint=endpoint,
            )
        app.synth()
    return Templates.read(folder / "out")


def registrations(agents: Templates) -> dict[str, Mapping[str, Any]]:
    return {one.properties["AgentId"]: one.properties for one in agents.resources("Custom::PushlaneAgent")}


def test_each_agent_is_registered_with_its_endpoint(agents: Templates) -> None:
    found = registrations(agents)
    assert "EndpointKind" not in found["queued"]
    assert "Dispatch" in str(found["queued"]["QueueUrl"])
    assert found[LONG]["EndpointKind"] == "lambda"
    assert "Function" in str(found[LONG]["EndpointTarget"])
    assert found["told.v2"]["EndpointKind"] == "sns"
    assert "Dispatches" in str(found["told.v2"]["EndpointTarget"])


def test_only_the_agent_with_a_queue_has_one(agents: Templates) -> None:
    assert len([one for one in agents.resources("AWS::SQS::Queue") if "Dispatch" in one.logical_id]) == 1


def test_the_routers_right_covers_the_names_of_function_and_topic(agents: Templates) -> None:
    [function] = [one for one in agents.resources("AWS::Lambda::Function") if "FunctionName" in one.properties]
    topic = agents.only("AWS::SNS::Topic", named="SnsDispatches")
    router = str(agents.statements(agents.role_of(agents.only("AWS::Lambda::Function", named="RouterFunction"))))
    for name in (function.properties["FunctionName"], topic.properties["TopicName"]):
        prefix = name.partition("-agent-")[0]
        assert f":{prefix}-agent-*" in router
    assert len(function.properties["FunctionName"]) <= 64


def test_what_an_asynchronous_call_could_not_do_is_kept(agents: Templates) -> None:
    destinations = {
        str(one.properties["DestinationConfig"]) for one in agents.resources("AWS::Lambda::EventInvokeConfig")
    }
    assert any("LambdaDeadLetters" in one for one in destinations)
    assert any("SnsDeadLetters" in one for one in destinations)
    subscription = agents.only("AWS::SNS::Subscription", named="Sns")
    assert "SnsDeadLetters" in str(subscription.properties["RedrivePolicy"])


def test_nothing_is_registered_before_it_can_be_reached(agents: Templates) -> None:
    for one in agents.resources("Custom::PushlaneAgent"):
        waits_for = str(one.body.get("DependsOn"))
        assert {"queued": "Dispatches", LONG: "Function", "told.v2": "Dispatches"}[
            one.properties["AgentId"]
        ] in waits_for
