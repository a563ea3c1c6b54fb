"""Agents that are invoked, and agents behind a topic, on the embedded AWS: the deployed router reaches both."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from pushlane.model.endpoint import EndpointKind
from pushlane.model.task import Status
from pushlane.router.registry import AgentProperties, drain, register
from pushlane.state import keys
from tests.e2e.conftest import Deployed, eventually

pytestmark = pytest.mark.e2e
KINDS = (EndpointKind.LAMBDA, EndpointKind.SNS)


@pytest.fixture(scope="module")
def targets(deployed: Deployed) -> dict[EndpointKind, str]:
    """The chaos agent's own function, and a topic that it listens to."""
    client = deployed.session.client("lambda")
    pages = client.get_paginator("list_functions").paginate()
    [function] = [one for page in pages for one in page["Functions"] if "Chaos" in one["FunctionName"]]
    sns = deployed.session.client("sns")
    topic = sns.create_topic(Name=f"pushlane-e2e-agent-{uuid4().hex[:8]}")["TopicArn"]
    client.add_permission(
        FunctionName=function["FunctionArn"],
        StatementId=uuid4().hex,
        Action="lambda:InvokeFunction",
        Principal="sns.amazonaws.com",
        SourceArn=topic,
    )
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=function["FunctionArn"])
    return {EndpointKind.LAMBDA: function["FunctionArn"], EndpointKind.SNS: topic}


@pytest.fixture(scope="module", autouse=True)
def registered(deployed: Deployed, targets: dict[EndpointKind, str]) -> Iterator[None]:
    for kind, target in targets.items():
        properties = AgentProperties(
            agent_id=_name(kind), capabilities=(_name(kind),), slots=2, endpoint_kind=kind, endpoint_target=target
        )
        register(properties, deployed.store)
    yield
    for kind in KINDS:
        drain(keys.agent_key("default", _name(kind)), deployed.store, lambda: False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_task_reaches_the_agent_and_its_result_comes_back(deployed: Deployed, kind: EndpointKind) -> None:
    submitted = [deployed.client.submit(_task(kind)) for _ in range(3)]
    ended = deployed.client.wait([one.task_id for one in submitted], timeout_seconds=60)
    assert {record.status for record in ended.values()} == {Status.SUCCEEDED}
    assert {record.epoch for record in ended.values()} == {1}
    eventually(deployed.nothing_is_held, "every slot is free again", 20)


@pytest.mark.parametrize("kind", KINDS)
def test_a_draining_agent_is_sent_nothing(deployed: Deployed, kind: EndpointKind) -> None:
    drain(keys.agent_key("default", _name(kind)), deployed.store, lambda: False)
    submitted = deployed.client.submit(_task(kind))
    eventually(lambda: _status(deployed, submitted.task_id) == Status.PARKED, "the task waits", 20)
    deployed.client.cancel("atlas", submitted.task_id)


def _name(kind: EndpointKind) -> str:
    return f"chaos-by-{kind.value}"


def _task(kind: EndpointKind) -> dict[str, Any]:
    return {
        "tenant_id": "atlas",
        "task_type": "chaos",
        "capabilities": [_name(kind)],
        "payload": {"do": "echo"},
    }


def _status(deployed: Deployed, task_id: str) -> str | None:
    key = keys.task_key(task_id)
    found = deployed.store.get([key]).get(key)
    return None if found is None else str(found.attributes.get("status"))
