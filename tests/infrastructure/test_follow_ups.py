"""The chain rules: what they match and the submission that they make of a fact."""

import json
import re
from typing import Any

import msgspec
import pytest

from pushlane.model.events import Fact, FactData, FactMetadata, FactName, SubmitTask
from pushlane.model.task import Tier
from tests.infrastructure.templates import Templates

pytestmark = pytest.mark.xdist_group("infrastructure")  # what these tests share is expensive

CHAIN = [("ExtractThenSummarize", "extract", "summarize", 1), ("SummarizeThenDigest", "summarize", "digest", 2)]
RESULT = {"text": 'say "hi" <b>', "sections": [1, {"empty": None}]}


def event_of(task_type: str) -> dict[str, Any]:
    fact = Fact(
        metadata=FactMetadata(name=FactName.TASK_SUCCEEDED, fact_id="f-1", occurred_at_ms=1),
        data=FactData(
            tenant_id="acme",
            task_id="t-1",
            task_type=task_type,
            tier=Tier.HIGH,
            result=RESULT,
            labels={"chain": "digest", "other": "kept by nobody"},
        ),
    )
    return {"detail-type": fact.metadata.name.value, "detail": msgspec.to_builtins(fact)}


def value_at(event: Any, path: str) -> Any:
    for name in path.removeprefix("$.").split("."):
        event = event[name]
    return event


def transformed(transformer: dict[str, Any], event: dict[str, Any]) -> str:
    """EventBridge's transformer: text goes in as it is, an object as JSON."""
    values = {name: value_at(event, path) for name, path in transformer["InputPathsMap"].items()}

    def render(match: re.Match[str]) -> str:
        value = values[match.group(1)]
        return value if isinstance(value, str) else json.dumps(value)

    return re.sub(r"<([a-z]+)>", render, transformer["InputTemplate"])


@pytest.mark.parametrize(("rule", "after", "submit", "depth"), CHAIN)
def test_a_success_in_the_chain_submits_the_next_task_with_its_result(
    prod: Templates, rule: str, after: str, submit: str, depth: int
) -> None:
    (target,) = prod.only("AWS::Events::Rule", named=rule).properties["Targets"]
    body = transformed(target["InputTransformer"], event_of(after))
    submitted = msgspec.json.decode(body, type=SubmitTask)
    assert submitted.metadata.depth == depth
    assert submitted.data.tenant_id == "acme"
    assert submitted.data.tier is Tier.HIGH
    assert submitted.data.task_type == submit
    assert submitted.data.payload == RESULT
    assert submitted.data.labels == {"chain": "digest"}
    assert submitted.data.idempotency_key == f"t-1/{submit}"


@pytest.mark.parametrize(("rule", "after", "_submit", "_depth"), CHAIN)
def test_only_successes_of_the_chain_match(prod: Templates, rule: str, after: str, _submit: str, _depth: int) -> None:
    pattern = prod.only("AWS::Events::Rule", named=rule).properties["EventPattern"]
    assert pattern["detail-type"] == [FactName.TASK_SUCCEEDED.value]
    data = pattern["detail"]["data"]
    assert data["task_type"] == [after]
    assert data["labels"] == {"chain": ["digest"]}


@pytest.mark.parametrize("rule", [one[0] for one in CHAIN])
def test_a_follow_up_that_cannot_be_delivered_is_kept(prod: Templates, rule: str) -> None:
    found = prod.only("AWS::Events::Rule", named=rule)
    (target,) = found.properties["Targets"]
    assert "Intake0" in prod.target(target["Arn"], found.stack).logical_id
    assert "Undelivered" in prod.target(target["DeadLetterConfig"]["Arn"], found.stack).logical_id
    assert "Facts" in prod.target(found.properties["EventBusName"], found.stack).logical_id
