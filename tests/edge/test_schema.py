"""The OpenAPI document against the application, in process: generated calls, proper and improper ones.

No 5xx, no status and no body that the document does not have. Seeded, so that a failure comes again.
"""

import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from pushlane.api.catalogue import OPERATIONS
from pushlane.api.openapi import document
from pushlane.api.operations import Operation
from pushlane.model.principal import Role
from pushlane.testing.api_transport import ApiTransport
from tests.edge.callers import BY_ID, Place, World
from tests.edge.matrix import MATRIX, Subject
from tests.edge.report import report, reported

pytestmark = pytest.mark.xdist_group("bad-inputs")

SEED: Final = 20_261_122
CALLS_AN_OPERATION: Final = 14
BASE: Final = "http://api.example"
CHECKS: Final = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
DOCUMENT: Final = schemathesis.openapi.from_dict(document(OPERATIONS))


class Totals:
    """What all calls came to."""

    def __init__(self) -> None:
        self.generated = 0
        self.unhandled = 0


class Edge:
    """A world, and a caller with a credential for everything."""

    def __init__(self) -> None:
        self.world = World()
        self._client = httpx.Client(base_url=BASE, transport=ApiTransport(self.world.api))
        self._keys = {role: self._key(role) for role in Role}

    def _key(self, role: Role) -> str:
        bounds: dict[str, Any] = {"tenant_id": "atlas"} if role is Role.PRODUCER else {}
        if role is Role.AGENT:
            bounds = {"pool": "default"}
        return self.world.api.new_key(role, **bounds)

    def call(self, case: Case[Any], operation: Operation, place: Place | None) -> httpx.Response:
        """Send it with the credential of who may do this, and not the generated one; `place`: on what is there."""
        if place is not None:
            case.path_parameters = {**(case.path_parameters or {}), **place.path}
        sent = case.as_transport_kwargs(base_url=BASE)
        role = min(operation.roles or {Role.PRODUCER}, key=list(Role).index)
        headers = {**dict(sent.get("headers") or {}), **(place.headers if place is not None else {})}
        headers = {name: value for name, value in headers.items() if _sendable(name, value)}
        answer = self._client.request(
            sent["method"],
            sent["url"],
            params=sent.get("params"),
            headers={**headers, "authorization": f"Bearer {self._keys[role]}"},
            json=sent.get("json"),
            content=sent.get("data"),
        )
        answer.elapsed = timedelta()  # in process nothing measures it, and the checks ask for it
        return answer


def _sendable(name: str, value: object) -> bool:
    return str(value).isascii() and str(value).isprintable() and name.lower() not in {"content-length", "authorization"}


@pytest.fixture(scope="module")
def totals() -> Iterator[Totals]:
    """Reported when all operations were called. A worker may leave this file and come back to it: what it has reported
    of this run it adds to.
    """
    found, run = Totals(), os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    yield found
    section = reported().get("bad_inputs", {})
    before = section if section.get("run") == run else {}
    generated = found.generated + before.get("generated", 0)
    broken = found.unhandled + before.get("unhandled_generated", 0)
    unhandled = broken + section.get("unhandled_named", 0)
    told = {"generated": generated, "unhandled_generated": broken, "unhandled": unhandled, "run": run}
    report("bad_inputs", {**section, **told})


@pytest.mark.parametrize("operation_id", sorted(BY_ID))
def test_an_operation_keeps_to_its_document(totals: Totals, operation_id: str) -> None:
    called, edge, subject = BY_ID[operation_id], Edge(), MATRIX[operation_id].subject
    operation = DOCUMENT[called.path][called.method]
    place = None if subject is Subject.NOTHING else edge.world.place(subject)
    proper = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    improper = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)

    @seed(SEED)
    @settings(
        max_examples=CALLS_AN_OPERATION,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],  # a call is small enough to be read as it is
    )
    @given(case=st.one_of(proper, improper), known=st.booleans())
    def calls(case: Case[Any], known: bool) -> None:
        totals.generated += 1
        try:
            case.validate_response(edge.call(case, called, place if known else None), checks=CHECKS)
        except BaseException:
            totals.unhandled += 1
            raise

    calls()
