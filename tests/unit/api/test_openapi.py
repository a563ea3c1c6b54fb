"""The document says what the operations do, and they are all in it."""

import json
from pathlib import Path
from typing import Any

import pytest

from pushlane.api.catalogue import OPERATIONS
from pushlane.api.openapi import document, problem_statuses
from pushlane.api.operations import Operation
from pushlane.api.routing import names_of
from pushlane.testing.api import InMemoryApi

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT: dict[str, Any] = document(OPERATIONS)


def test_it_is_served_as_it_is_stored(api: InMemoryApi) -> None:
    served = api.call("GET", "/v1/openapi.json")
    assert served.status == 200
    assert served.body == json.loads((ROOT / "docs" / "openapi.json").read_text())


def test_every_operation_is_in_it_once() -> None:
    said = [one["operationId"] for path in DOCUMENT["paths"].values() for one in path.values()]
    assert sorted(said) == sorted(one.operation_id for one in OPERATIONS)
    assert len(set(said)) == len(said)


def test_every_reference_leads_somewhere() -> None:
    wanted = {text.rpartition("/")[2] for text in _references(DOCUMENT)}
    assert wanted <= DOCUMENT["components"]["schemas"].keys()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.operation_id)
def test_an_operation_is_whole(operation: Operation) -> None:
    said = DOCUMENT["paths"][operation.path][operation.method.lower()]
    assert said["responses"].keys() == {str(one) for one in (*operation.responses, *problem_statuses(operation))}
    assert [one["name"] for one in said["parameters"] if one["in"] == "path"] == names_of(operation.path)
    assert operation.public == (not operation.roles)
    assert operation.summary.endswith((".", "?")) or operation.summary[0].isupper()


def _references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set[str]()
        return own.union(*map(_references, value.values()))
    return set[str]().union(*map(_references, value)) if isinstance(value, list) else set()
