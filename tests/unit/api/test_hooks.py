"""Inbound webhooks over the API: what becomes a task, what does not, and that nothing tells why."""

import json
from typing import Any

import pytest

from pushlane.model.webhook_signature import secret_of, signature_headers
from pushlane.ports import Update
from pushlane.state.hooks import hooks_of
from pushlane.state.keys import tenant_key
from tests.unit.api.hooked import TEMPLATE, Hooks, github

BODY = {"repository": {"name": "pushlane"}, "author": "ada", "n": 3, "labels": ["urgent"]}


@pytest.fixture
def hooks() -> Hooks:
    return Hooks()


def test_a_signed_delivery_becomes_a_task_of_the_hooks_tenant(hooks: Hooks) -> None:
    made = hooks.make()
    assert (made.status, made.headers["location"]) == (201, made.body["path"])
    answer = hooks.deliver(made.body, BODY)
    assert answer.status == 202
    task = hooks.payload(answer.body["task_id"])
    assert (task["tenant_id"], task["task_type"], task["tier"]) == ("atlas", "review", "high")
    assert task["payload"] == {"repo": "pushlane", "author": "ada", "fixed": [1, 3]}
    assert task["labels"] == {"event": "push"}
    assert task["source"]["door"] == "http"


def test_what_an_expression_does_not_find_is_left_out(hooks: Hooks) -> None:
    made = hooks.make()
    answer = hooks.deliver(made.body, {"repository": {"name": "r"}, "n": 1})
    task = hooks.payload(answer.body["task_id"])
    assert "tier" not in task
    assert task["payload"] == {"repo": "r", "fixed": [1, 1]}


def test_a_replay_is_the_same_task_and_a_later_one_is_refused(hooks: Hooks) -> None:
    made = hooks.make()
    first, again = hooks.deliver(made.body, BODY), hooks.deliver(made.body, BODY)
    assert (first.status, again.status, again.body) == (202, 200, first.body)
    raw = json.dumps(BODY).encode()
    old = signature_headers([secret_of(made.body["secret"])], "m1", hooks.now_seconds - 301, raw)
    late = hooks.api.call("POST", made.body["path"], raw_body=raw, headers=old)
    assert (late.status, late.code) == (401, "delivery-refused")
    assert hooks.deliver(made.body, BODY, "m2").body != first.body


def test_a_delivery_that_is_sent_again_with_other_unsigned_headers_is_no_second_task(hooks: Hooks) -> None:
    made = hooks.make(scheme="github", secret="a-providers-own-secret")
    assert made.body["secret"] is None
    raw = json.dumps(BODY).encode()
    signed = github("a-providers-own-secret", raw)
    answers = [
        hooks.api.call(
            "POST",
            made.body["path"],
            raw_body=raw,
            headers={"x-event": "push", "x-github-delivery": str(number), "idempotency-key": str(number), **signed},
        )
        for number in range(3)
    ]
    assert [answer.status for answer in answers] == [202, 200, 200]
    other = hooks.api.call("POST", made.body["path"], raw_body=raw, headers={"x-event": "other", **signed})
    assert (other.status, other.code) == (409, "key-conflict")


def test_a_delivery_can_be_known_by_an_expression(hooks: Hooks) -> None:
    made = hooks.make(key="body.repository.name")
    answers = [hooks.deliver(made.body, BODY, message_id) for message_id in ("m1", "m2")]
    assert answers[0].body == answers[1].body
    unknown = hooks.deliver(made.body, {**BODY, "repository": {"name": True}}, "m3")
    assert (unknown.status, unknown.body["errors"][0]["field"]) == (422, "$.key")


def test_what_the_hook_does_not_want_becomes_no_task(hooks: Hooks) -> None:
    made = hooks.make(when="headers.\"x-event\" == 'push'")
    answer = hooks.deliver(made.body, BODY, **{"x-event": "ping"})
    assert (answer.status, answer.body) == (200, {"task_id": None})
    assert hooks.deliver(made.body, BODY).status == 202


def test_nothing_tells_an_unknown_hook_from_a_wrong_signature(hooks: Hooks) -> None:
    made, others = hooks.make().body, hooks.make("borea").body
    raw = json.dumps(BODY).encode()
    gone = hooks.make().body
    hooks.api.call("DELETE", gone["path"], principal=hooks.api.operator("atlas"))
    key = tenant_key("borea")
    hooks.dispatcher.store.write(Update(key, set={"status": "erasing"}))
    hooks.dispatcher.advance(2)
    answers = [
        hooks.deliver({**made, "secret": others["secret"]}, BODY),
        hooks.deliver({**made, "path": "/v1/hooks/hk-nobody"}, BODY),
        hooks.deliver(others, BODY),
        hooks.deliver(gone, BODY),
        hooks.api.call("POST", made["path"], raw_body=raw),
        hooks.api.call("POST", "/v1/hooks/hk-nobody", raw_body=raw),
    ]
    told = [{**answer.body, "instance": "", "request_id": ""} for answer in answers]
    assert all(one == told[0] for one in told)
    assert told[0]["status"] == 401
    assert not hooks.dispatcher.live_attempts()


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "not_json"),
        (b"{", "not_json"),
        (b"\xff", "not_json"),
        (b'{"a": NaN}', "out_of_range"),
        (b'{"a": 1, "a": 2}', "duplicate_key"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b"[" * 70 + b"]" * 70, "too_deep"),
    ],
)
def test_a_signed_delivery_of_another_form_is_refused_by_its_field(hooks: Hooks, raw: bytes, code: str) -> None:
    answer = hooks.deliver(hooks.make().body, raw)
    assert (answer.status, answer.body["errors"][0]["code"]) == (422, code)


@pytest.mark.parametrize("body", [[], 7, "text", None, {}])
def test_a_delivery_of_another_shape_makes_what_the_template_makes_of_it(hooks: Hooks, body: Any) -> None:
    template = {"task_type": "review", "payload": {"n": {"$": "body.n"}}}
    answer = hooks.deliver(hooks.make(template=template).body, body)
    assert answer.status == 202
    assert hooks.payload(answer.body["task_id"])["payload"] == {}


def test_a_delivery_that_does_not_fit_names_the_field_of_the_template(hooks: Hooks) -> None:
    made = hooks.make(template={**TEMPLATE, "task_type": {"$": "body.type || 'review'"}}).body
    answer = hooks.deliver(made, {**BODY, "type": "no type"})
    assert (answer.status, answer.body["errors"][0]["field"]) == (422, "$.template.task_type")


def test_a_delivery_over_the_bound_is_refused(hooks: Hooks) -> None:
    made = hooks.make().body
    assert hooks.deliver(made, {"text": "x" * (256 * 1024)}).status == 413


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"template": {**TEMPLATE, "payload": {"a": {"$": "body."}}}}, "$.template.payload.a"),
        ({"template": {**TEMPLATE, "payload": {"a": [{"$": ""}]}}}, "$.template.payload.a[0]"),
        ({"template": {**TEMPLATE, "payload": {"a": {"$": "b", "c": 1}}}}, "$.template.payload.a"),
        ({"template": {**TEMPLATE, "payload": {"a": {"$": 1}}}}, "$.template.payload.a"),
        ({"template": {**TEMPLATE, "payload": {"a": {"$": "(" * 1_000}}}}, "$.template.payload.a"),
        ({"template": {**TEMPLATE, "payload": {"a": {"$": "nosuch(body)"}}}}, "$.template.payload.a"),
        ({"template": {**TEMPLATE, "payload": {"a": {"$": "abs('x')"}}}}, "$.template.payload.a"),
        ({"template": {**TEMPLATE, "payload": {"a": {"$": "&body"}}}}, "$.template"),
        ({"template": {**TEMPLATE, "payload": {str(n): {"$": "body"} for n in range(101)}}}, "$.template.payload.99"),
        ({"template": {**TEMPLATE, "tier": "urgent"}}, "$.template.tier"),
        ({"template": {**TEMPLATE, "tenant_id": "borea"}}, "$.template.tenant_id"),
        ({"template": {**TEMPLATE, "parent": {"task_id": "t"}}}, "$.template.parent"),
        ({"template": {**TEMPLATE, "idempotency_key": "k"}}, "$.template.idempotency_key"),
        ({"template": {}}, "$.template"),
        ({"when": "body.nothing"}, "$.sample"),
        ({"when": "body["}, "$.when"),
        ({"key": "body.nothing"}, "$.key"),
        ({"key": "body["}, "$.key"),
        ({"scheme": "hmac"}, "$.hmac"),
        ({"scheme": "none"}, "$.scheme"),
        ({"secret": "short"}, "$.secret"),
        ({"sample": None}, "$"),
        ({"tolerance_seconds": 0}, "$.tolerance_seconds"),
    ],
)
def test_a_hook_that_would_not_work_is_refused_by_its_field(hooks: Hooks, changed: dict[str, Any], field: str) -> None:
    answer = hooks.make(**changed)
    assert (answer.status, answer.body["errors"][0]["field"]) == (422, field)
    assert hooks_of(hooks.dispatcher.store, "atlas") == ()


def test_a_rotation_lets_both_secrets_in_for_a_while(hooks: Hooks) -> None:
    made = hooks.make().body
    operator = hooks.api.operator("atlas")
    rotated = hooks.api.call("POST", f"{made['path']}/rotate", principal=operator, body={"overlap_seconds": 60})
    assert rotated.body["secret"] != made["secret"]
    assert [hooks.deliver(one, BODY, "m1").status for one in (made, rotated.body)] == [202, 200]
    hooks.dispatcher.advance(60)
    assert [hooks.deliver(one, BODY, "m2").status for one in (made, rotated.body)] == [401, 202]


def test_a_tenants_hooks_are_listed_shown_and_removed_by_it_alone(hooks: Hooks) -> None:
    made = [hooks.make().body["path"] for _ in range(2)]
    hooks.make("borea")
    own, other, all_ = (hooks.api.operator(tenant) for tenant in ("atlas", "borea", None))
    listed = hooks.api.call("GET", "/v1/hooks", principal=own).body["hooks"]
    assert sorted(one["path"] for one in listed) == sorted(made)
    for method, path in (("GET", made[0]), ("DELETE", made[0]), ("POST", f"{made[0]}/rotate")):
        body: dict[str, int] | None = {} if method == "POST" else None
        foreign = hooks.api.call(method, path, principal=other, body=body)
        nothing = hooks.api.call(method, path.replace(made[0], "/v1/hooks/hk-nobody"), principal=other, body=body)
        assert foreign.status == nothing.status == 404
        assert foreign.body["detail"] == nothing.body["detail"]
    assert hooks.api.call("GET", made[0], principal=all_).body["hook"]["name"] == "reviews"
    assert hooks.api.call("DELETE", made[0], principal=own).status == 204
    assert hooks.api.call("GET", made[0], principal=own).status == 404
    assert hooks.api.call("GET", made[0], principal=hooks.api.producer("atlas")).status == 403


def test_a_tenant_has_at_most_a_hundred_hooks(hooks: Hooks) -> None:
    for _ in range(99):
        assert hooks.make().status == 201
    last = hooks.make().body
    assert (hooks.make().status, hooks.make().code) == (409, "too-many-hooks")
    assert hooks.make("borea").status == 201
    hooks.api.call("DELETE", last["path"], principal=hooks.api.operator("atlas"))
    assert hooks.make().status == 201
