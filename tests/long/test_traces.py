"""The trace of a task through every door, read from the spans that a deployed Pushlane has exported to a file."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pushlane.client import SubmitData
from pushlane.model.span import Span, SpanLink
from pushlane.model.task import EVENT_DOORS, Door, Status
from pushlane.testing.traces import holes, tree
from tests.e2e.api_deployment import ApiDeployed, deployed_api
from tests.e2e.conftest import eventually

pytestmark = pytest.mark.long

TRACE, PRODUCER = "4bf92f3577b34da6a3ce929d0e0e473", "00f067aa0ba902b7"
RUN = ["push", "queue dispatch", "run", "queue results"]
HOPS = {
    Door.EVENTBRIDGE: ["door eventbridge", "queue intake", "accept", *RUN],
    Door.SNS: ["door sns", "queue intake", "accept", *RUN],
    Door.SQS: ["door sqs", "queue intake", "accept", *RUN],
    Door.KINESIS: ["door kinesis", "stream intake", "accept", *RUN],
    Door.HTTP: ["door http", "accept", *RUN],
}
# What is no time at all leaves no span: a door whose channel stamps the same millisecond.
MAY_BE_ABSENT = {f"door {door}" for door in EVENT_DOORS}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("traces") / "spans.jsonl"


@pytest.fixture(scope="module")
def api(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiDeployed]:
    with deployed_api(tmp_path_factory.mktemp("deploy-traces"), traces=f"file:{place}") as found:
        yield found


def given(number: int) -> str:
    return f"00-{TRACE}{number}-{PRODUCER}-01"


def test_the_trace_of_a_task_through_each_door_shows_every_hop_with_no_gap(api: ApiDeployed, place: Path) -> None:
    client = api.deployed.client
    tasks: dict[Door, str] = {}
    for number, door in enumerate(EVENT_DOORS):
        data = SubmitData(tenant_id="atlas", task_type="chaos", payload={"do": "echo", "value": "sesame"})
        tasks[door] = client.submit(data, door=door, traceparent=given(number)).task_id
    client.wait(tasks.values(), timeout_seconds=40)  # the agent has a slot for each of them, and none for one more
    body = {"task_type": "chaos", "payload": {"do": "echo", "value": "sesame"}}
    answer = api.http.post("/v1/tasks", json=body, headers={"traceparent": given(len(EVENT_DOORS))})
    tasks[Door.HTTP] = answer.json()["task_id"]
    ended = client.wait(tasks.values(), timeout_seconds=40)
    assert {one.status for one in ended.values()} == {Status.SUCCEEDED}

    for number, (door, task_id) in enumerate(tasks.items()):
        spans = eventually(partial(complete, place, task_id), f"the whole trace of {task_id}", 30)
        root = root_of(spans)
        assert [one for one in HOPS[door] if one not in MAY_BE_ABSENT] == [
            one for one in tree(spans, root) if one not in MAY_BE_ABSENT
        ]
        assert set(tree(spans, root)) <= set(HOPS[door])
        assert holes(spans, root) == []
        assert {one.trace_id for one in spans} == {f"{TRACE}{number}"}
        assert root.parent_id == PRODUCER
    turns = [one for one in exported(place) if one.name.startswith("turn ")]
    linked = {link.trace_id for turn in turns for link in turn.links}
    assert linked >= {f"{TRACE}{number}" for number in range(len(EVENT_DOORS))}
    assert "sesame" not in place.read_text()


def complete(place: Path, task_id: str) -> list[Span] | None:
    """The task's spans, once its root is among them."""
    spans = [one for one in exported(place) if one.attributes.get("pushlane.task_id") == task_id]
    return spans if any(one.name == "task chaos" for one in spans) else None


def root_of(spans: list[Span]) -> Span:
    return next(one for one in spans if one.name == "task chaos")


def exported(place: Path) -> list[Span]:
    """All that the file holds, each span once."""
    lines = place.read_text().splitlines() if place.exists() else []
    documents: list[dict[str, Any]] = [json.loads(line) for line in lines]
    found = [
        span
        for document in documents
        for resource in document["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]
    return list({one["spanId"]: _span(one) for one in found}.values())


def _span(said: dict[str, Any]) -> Span:
    return Span(
        trace_id=said["traceId"],
        span_id=said["spanId"],
        parent_id=said.get("parentSpanId"),
        name=said["name"],
        start_ms=int(said["startTimeUnixNano"]) // 1_000_000,
        end_ms=int(said["endTimeUnixNano"]) // 1_000_000,
        attributes={one["key"]: next(iter(one["value"].values())) for one in said["attributes"]},
        links=tuple(SpanLink(one["traceId"], one["spanId"]) for one in said.get("links", [])),
    )
