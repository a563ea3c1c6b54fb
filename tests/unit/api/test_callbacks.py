"""A tenant's callbacks over the API: its own alone, with the secret that deliveries verify under."""

from typing import Any

import pytest

from pushlane.model.callback import signing_secrets
from pushlane.model.target_url import TargetRules
from pushlane.model.webhook_signature import secret_of
from pushlane.state.callbacks import callback_settings
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.api import Answer, InMemoryApi
from pushlane.testing.dispatcher import RING

URL = "https://hooks.example/done"


@pytest.fixture
def api() -> InMemoryApi:
    return InMemoryApi(InMemoryDispatcher(tenants=("atlas", "borea")))


def put(api: InMemoryApi, body: Any, tenant_id: str = "atlas") -> Answer:
    return api.call("PUT", "/v1/callbacks", principal=api.operator(tenant_id), body=body)


def get(api: InMemoryApi, tenant_id: str = "atlas") -> Any:
    return api.call("GET", "/v1/callbacks", principal=api.operator(tenant_id)).body


def test_a_default_is_set_shown_and_taken_away(api: InMemoryApi) -> None:
    assert get(api) == {
        "tenant_id": "atlas",
        "default": None,
        "secret": None,
        "generation": 0,
        "previous_until_ms": None,
    }
    made = put(api, {"url": URL, "events": ["TaskFailed"]})
    assert (made.status, made.body) == (200, get(api))
    assert made.body["default"] == {"url": URL, "events": ["TaskFailed"]}
    settings = callback_settings(api.dispatcher.store, "atlas")
    assert settings is not None
    assert [secret_of(made.body["secret"])] == signing_secrets(RING, settings, api.dispatcher.clock.now_ms())
    for _ in range(2):
        assert api.call("DELETE", "/v1/callbacks", principal=api.operator("atlas")).status == 204
    assert (get(api)["default"], get(api)["secret"]) == (None, made.body["secret"])
    assert get(api, "borea")["secret"] is None


def test_a_rotation_replaces_the_secret_and_keeps_the_default(api: InMemoryApi) -> None:
    first = put(api, {"url": URL}).body
    operator = api.operator("atlas")
    rotated = api.call("POST", "/v1/callbacks/rotate", principal=operator, body={"overlap_seconds": 60}).body
    assert (rotated["generation"], rotated["default"]) == (2, {"url": URL})
    assert rotated["secret"] != first["secret"]
    assert rotated["previous_until_ms"] == api.dispatcher.clock.now_ms() + 60_000
    api.dispatcher.advance(60)
    assert get(api)["previous_until_ms"] is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"url": "http://hooks.example/"}, "$.url"),
        ({"url": "https://127.0.0.1/"}, "$.url"),
        ({"url": "https://[::ffff:10.0.0.1]/"}, "$.url"),
        ({"url": "https://2130706433/"}, "$.url"),
        ({"url": "https://user@hooks.example/"}, "$.url"),
        ({"url": "https://hooks.example:22/"}, "$.url"),
        ({"url": ""}, "$.url"),
        ({"url": URL, "events": ["TaskParked"]}, "$.events[0]"),
        ({"url": URL, "tenant_id": "borea"}, "$.tenant_id"),
        ({}, "$"),
    ],
)
def test_a_place_that_cannot_be_told_is_refused_by_its_field(api: InMemoryApi, body: Any, field: str) -> None:
    answer = put(api, body)
    assert (answer.status, answer.body["errors"][0]["field"]) == (422, field)
    assert get(api)["secret"] is None


def test_at_stage_local_this_machine_may_be_told() -> None:
    api = InMemoryApi(InMemoryDispatcher(), targets=TargetRules(allow_local=True))
    assert put(api, {"url": "http://127.0.0.1:9/x"}).status == 200


def test_a_submission_names_a_place_of_its_own(api: InMemoryApi) -> None:
    def submit(callback: Any) -> Answer:
        body = {"task_type": "echo", "callback": callback}
        return api.call("POST", "/v1/tasks", principal=api.producer("atlas"), body=body)

    refused = submit({"url": URL})
    assert (refused.status, refused.body["errors"][0]["code"]) == (422, "no_callback_secret")
    put(api, {"url": URL})
    assert submit({"url": "https://own.example/"}).status == 202
    bad = submit({"url": "https://10.0.0.1/"})
    assert (bad.status, bad.body["errors"][0]["field"]) == (422, "$.callback.url")


def test_only_operators_of_the_tenant_reach_it(api: InMemoryApi) -> None:
    put(api, {"url": URL})
    assert api.call("GET", "/v1/callbacks", principal=api.producer("atlas")).status == 403
    assert api.call("GET", "/v1/callbacks").status == 401
    named = api.call("GET", "/v1/callbacks", principal=api.operator(), query={"tenant": "atlas"}).body
    assert named["default"] == {"url": URL}
    assert api.call("GET", "/v1/callbacks", principal=api.operator()).status == 422
    foreign = api.call("GET", "/v1/callbacks", principal=api.operator("borea"), query={"tenant": "atlas"})
    assert foreign.status == 403
    assert callback_settings(api.dispatcher.store, "borea") is None
