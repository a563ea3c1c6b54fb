"""The workflow document: schema and decoder agree, defaults, sizes, and what a node is as a task."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pushlane.model.claim_check import INLINE_BYTES_MAX
from pushlane.model.errors import InvalidEvent
from pushlane.model.task import Tier
from pushlane.model.workflow import OnFailure
from pushlane.model.workflow_document import Edge, SubmitWorkflow, check_nodes, submission_of
from tests.unit.model.json_schema import accepts
from tests.unit.model.workflows import node, submitted, workflow_envelope

SCHEMA: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parents[3] / "docs" / "events" / "submit-workflow.v1.json").read_text()
)
CLAIM = {"$claim_check": {"key": "claims/atlas/x.json", "bytes": 10, "sha256": "a" * 64}}

GOOD = [
    workflow_envelope(node("a")),
    workflow_envelope(node("a"), node("b", "a", {"node": "a"}, {"node": "c", "on_failure": "skip"})),
    workflow_envelope(node("a", tier="high", pool="gpu", resources={"llm": 3}, retry={"max_attempts": 1})),
    workflow_envelope(node("a"), name="digest", deadline_ms=5, deadline_kind="hard", labels={"a": "b"}),
    workflow_envelope() | {"data": {"tenant_id": "atlas", "tasks": CLAIM}},
]
BAD = [
    workflow_envelope(),
    workflow_envelope(node("a b")),
    workflow_envelope({"name": "a"}),
    workflow_envelope(node("a", 3)),
    workflow_envelope(node("a", {"node": "b", "on_failure": "retry"})),
    workflow_envelope(node("a", tenant_id="other")),
    workflow_envelope(node("a"), extra=1),
    workflow_envelope(*(node(f"n{place}") for place in range(1_001))),
    workflow_envelope(node("a", *(f"n{place}" for place in range(1_001)))),
    workflow_envelope() | {"data": {"tenant_id": "atlas", "tasks": {"$claim_check": {"key": "x"}}}},
    workflow_envelope() | {"data": {"tenant_id": "atlas", "tasks": CLAIM | {"more": 1}}},
]


@pytest.mark.parametrize("value", GOOD)
def test_a_good_workflow_is_valid_for_the_schema_and_the_decoder(value: Any) -> None:
    assert accepts(SCHEMA, value)
    read = msgspec.json.decode(json.dumps(value), type=SubmitWorkflow)
    assert msgspec.json.decode(msgspec.json.encode(read), type=SubmitWorkflow) == read


@pytest.mark.parametrize("value", BAD)
def test_a_bad_workflow_is_refused_by_both(value: Any) -> None:
    assert not accepts(SCHEMA, value)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json.dumps(value), type=SubmitWorkflow)


def test_a_plain_string_is_an_edge_that_fails() -> None:
    data = submitted(node("a"), node("b", "a", {"node": "c", "on_failure": "continue"})).data
    assert isinstance(data.tasks, tuple)
    assert data.tasks[1].edges == (
        Edge(node="a", on_failure=OnFailure.FAIL),
        Edge(node="c", on_failure=OnFailure.CONTINUE),
    )


def test_a_node_has_the_workflows_defaults_and_its_own_words_before_them() -> None:
    data = submitted(
        node("a", tier="low", labels={"kind": "own"}),
        node("b"),
        tier="high",
        pool="gpu",
        labels={"kind": "x", "by": "y"},
    ).data
    assert isinstance(data.tasks, tuple)
    first, second = (submission_of(one, data) for one in data.tasks)
    assert (first.tier, first.pool, first.labels) == (Tier.LOW, "gpu", {"kind": "own", "by": "y"})
    assert (second.tier, second.tenant_id, second.labels) == (Tier.HIGH, "atlas", {"kind": "x", "by": "y"})


def _deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"in": value}
    return value


@pytest.mark.parametrize(
    ("fields", "code", "path"),
    [
        ({"payload": _deep(64)}, "too_deep", "payload"),
        ({"payload": {"text": "x" * INLINE_BYTES_MAX}}, "oversize", "payload"),
        ({"payload": {"$claim_check": 3}}, "invalid", "payload.$claim_check"),
        (
            {"payload": {"$claim_check": {"key": "claims/other/x", "bytes": 2, "sha256": "a" * 64}}},
            "foreign_claim",
            "payload.$claim_check.key",
        ),
        ({"retry": {"backoff_seconds": 9, "backoff_max_seconds": 1}}, "invalid", "retry.backoff_max_seconds"),
        ({"labels": {f"m{number}": "x" for number in range(10)}}, "invalid", "labels"),
    ],
)
def test_what_a_node_may_not_say_is_refused_at_its_path(fields: dict[str, Any], code: str, path: str) -> None:
    data = submitted(node("a"), node("b", **fields), labels={"l": "x"}).data
    assert isinstance(data.tasks, tuple)
    with pytest.raises(InvalidEvent) as raised:
        check_nodes(data, data.tasks)
    assert (raised.value.code, raised.value.field) == (code, f"$.data.tasks[1].{path}")
