"""Attempts over HTTP: the reservation token is the proof, the conditional write the fence."""

import hashlib
from typing import Any

import pytest

from pushlane.model.claim_check import claim_key
from pushlane.model.endpoint import Endpoint, EndpointKind
from pushlane.model.principal import Principal, Role
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.api import Answer, InMemoryApi

ONE = Principal(principal_id="one", role=Role.AGENT, pool="default", agent_id="one")
OF_POOL = Principal(principal_id="pool", role=Role.AGENT, pool="default")
STRANGERS = [
    Principal(principal_id="two", role=Role.AGENT, pool="default", agent_id="two"),
    Principal(principal_id="gpu", role=Role.AGENT, pool="gpu"),
    Principal(principal_id="borea", role=Role.AGENT, pool="default", tenant_id="borea"),
]


class World:
    """A pull agent `one`, and the API that it speaks to."""

    def __init__(self) -> None:
        self.dispatcher = InMemoryDispatcher(tenants=("atlas", "borea"))
        pull = Endpoint(kind=EndpointKind.PULL)
        self.dispatcher.register(None, agent_id="one", slots=3, capabilities=("work",), endpoint=pull)
        self.api = InMemoryApi(self.dispatcher)

    def claimed(self, n: int = 1, **more: Any) -> dict[str, Any]:
        self.dispatcher.submit(task_type="work", payload={"n": n}, **more)
        self.dispatcher.run_until_idle()
        said = {"claim_id": f"claim-{n}", "max": 1}
        answer = self.api.call("POST", "/v1/agents/one/claim", principal=ONE, body=said)
        [dispatch] = answer.body["dispatches"]
        return dict(dispatch)

    def say(self, dispatch: dict[str, Any], word: str, principal: Principal = ONE, **body: Any) -> Answer:
        headers = {"pushlane-reservation": dispatch["token"]}
        path = f"/v1/attempts/{dispatch['task_id']}/{word}"
        return self.api.call("POST", path, principal=principal, headers=headers, body={"runner": "run-1", **body})

    def status(self, dispatch: dict[str, Any]) -> str | None:
        self.dispatcher.run_until_idle()
        return self.dispatcher.status(dispatch["task_id"])


def test_an_attempt_from_claim_to_result() -> None:
    world = World()
    dispatch = world.claimed()
    started = world.say(dispatch, "start")
    assert (started.status, started.body["order"]) == (200, "continue")
    assert started.body["lease_until_ms"] == world.dispatcher.clock.now_ms() + 30_000
    assert world.say(dispatch, "check-in", checkpoint={"page": 3}, progress=0.5).status == 200
    assert world.say(dispatch, "complete", result={"ok": True}, usage={"tokens": 7}).status == 200
    assert (world.status(dispatch), world.dispatcher.used("one")) == ("SUCCEEDED", 0)
    assert world.dispatcher.result(dispatch["task_id"]) == {"ok": True}


@pytest.mark.parametrize("word", ["fail", "yield"])
def test_who_ends_without_a_checkpoint_leaves_the_one_that_it_stored(word: str) -> None:
    world = World()
    dispatch = world.claimed()
    world.say(dispatch, "start")
    world.say(dispatch, "check-in", checkpoint={"page": 3})
    more: dict[str, Any] = {"error_type": "Broken", "message": "no"} if word == "fail" else {}
    assert world.say(dispatch, word, **more).status == 200
    world.dispatcher.advance(120)
    again = world.claimed()
    assert (again["task_id"], again["epoch"], again["checkpoint"]) == (dispatch["task_id"], 2, {"page": 3})


def test_another_agent_of_the_credentials_pool_is_believed() -> None:
    world = World()
    assert world.say(world.claimed(), "start", OF_POOL).status == 200


@pytest.mark.parametrize("principal", STRANGERS, ids=lambda one: one.principal_id)
@pytest.mark.parametrize("word", ["start", "check-in", "complete", "yield", "stop"])
def test_a_token_in_a_strangers_hands_proves_nothing(principal: Principal, word: str) -> None:
    world = World()
    dispatch = world.claimed()
    answer = world.say(dispatch, word, principal)
    assert (answer.status, answer.code) == (404, "unknown-attempt")
    assert world.say(dispatch, "start").status == 200


def test_a_stolen_token_is_no_proof_for_another_task_and_a_foreign_task_looks_like_an_unknown_one() -> None:
    world = World()
    first, second = world.claimed(1), world.claimed(2)
    stolen = world.say({**second, "token": first["token"]}, "start")
    nobody = world.say({"task_id": "t-nobody", "token": first["token"]}, "start")
    assert (stolen.status, nobody.status) == (404, 404)
    assert stolen.body["detail"] == nobody.body["detail"]
    assert world.say(second, "start").status == 200


def test_a_token_of_an_earlier_epoch_proves_nothing() -> None:
    world = World()
    first = world.claimed(retry={"max_attempts": 3, "backoff_seconds": 1})
    assert world.say(first, "start").status == 200
    assert world.say(first, "fail", error_type="Boom").status == 200
    world.dispatcher.advance(5)
    again = world.api.call("POST", "/v1/agents/one/claim", principal=ONE, body={"claim_id": "c-2"})
    [second] = again.body["dispatches"]
    assert second["epoch"] == 2
    assert world.say(second, "start", runner="run-2").status == 200
    for word in ("start", "check-in", "complete", "fail", "yield"):
        more: dict[str, Any] = {"error_type": "Boom"} if word == "fail" else {}
        answer = world.say(first, word, **more)
        assert (answer.status, answer.code) == (409, "stale"), word
    assert world.say(second, "complete", runner="run-2").status == 200


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c", "eyJhbGciOiJub25lIn0.e30."])
def test_a_token_that_is_none_is_refused(token: str) -> None:
    world = World()
    answer = world.say({**world.claimed(), "token": token}, "start")
    assert (answer.status, answer.code) == ((403, "unproven") if token else (422, "invalid-request"))


def test_only_one_run_starts_and_its_repeat_is_the_same_run() -> None:
    world = World()
    dispatch = world.claimed()
    assert world.say(dispatch, "start").status == 200
    assert world.say(dispatch, "start").status == 200
    assert world.say(dispatch, "start", runner="run-2").status == 409
    assert world.say(dispatch, "complete", runner="run-2").status == 409


def test_a_last_word_whose_answer_was_lost_may_be_said_again() -> None:
    world = World()
    dispatch = world.claimed()
    started = world.say(dispatch, "start").body["started_at_ms"]
    times = {"started_at_ms": started, "finished_at_ms": started + 5}
    first = world.say(dispatch, "complete", result={"a": 1}, **times)
    again = world.say(dispatch, "complete", result={"a": 1}, **times)
    assert (first.status, first.body["repeated"]) == (200, False)
    assert (again.status, again.body["repeated"]) == (200, True)
    assert world.say(dispatch, "complete", result={"a": 1}).status == 409


def test_orders_and_signals_come_with_the_check_in() -> None:
    world = World()
    dispatch = world.claimed()
    world.say(dispatch, "start")
    signal = {"tenant_id": "atlas", "task_id": dispatch["task_id"], "name": "hint", "data": {"to": 1}}
    world.dispatcher.send({"metadata": {"name": "SignalTask", "version": 1}, "data": {**signal, "signal_id": "s"}})
    world.dispatcher.run_until_idle()
    found = world.say(dispatch, "check-in").body
    assert [one["name"] for one in found["signals"]] == ["hint"]
    refused = world.say(dispatch, "suspend", awaits="more", signals_seen=0)
    assert (refused.status, refused.code) == (409, "unseen-signals")
    assert world.say(dispatch, "suspend", awaits="more", signals_seen=1, checkpoint={"a": 1}).status == 200
    assert world.status(dispatch) == "SUSPENDED"


def test_a_cancelled_attempt_is_told_to_stop() -> None:
    world = World()
    dispatch = world.claimed()
    world.say(dispatch, "start")
    world.dispatcher.command("CancelTask", task_id=dispatch["task_id"])
    world.dispatcher.run_until_idle()
    assert world.say(dispatch, "check-in").body["order"] == "cancel"
    assert world.say(dispatch, "stop").status == 200
    assert world.status(dispatch) == "CANCELLED"


def test_a_process_that_lives_while_its_work_is_silent_does_not_take_back_newer_progress() -> None:
    world = World()
    dispatch = world.claimed()
    world.say(dispatch, "start")
    world.dispatcher.clock.advance(10_000)
    world.say(dispatch, "check-in", progress={"page": 2})
    now_ms = world.dispatcher.clock.now_ms()
    beat = world.say(dispatch, "check-in", quiet_seconds=8.0)
    assert (beat.status, beat.body["progress_at_ms"]) == (200, now_ms)


def test_another_tenants_claim_check_is_refused_and_a_large_result_becomes_one() -> None:
    world = World()
    dispatch = world.claimed()
    world.say(dispatch, "start")
    foreign = {"$claim_check": {"key": claim_key("borea", "0" * 64), "bytes": 2, "sha256": "0" * 64}}
    answer = world.say(dispatch, "complete", result=foreign)
    assert (answer.status, answer.body["errors"][0]["code"]) == (422, "foreign_claim")
    assert world.say(dispatch, "complete", result={"text": "x" * 100_000}).status == 200
    assert world.status(dispatch) == "SUCCEEDED"


def test_large_values_are_kept_and_read_under_the_name_of_their_content() -> None:
    world = World()
    dispatch = world.claimed()
    body = b'{"text":"' + b"x" * 100_000 + b'"}'
    name = claim_key("atlas", hashlib.sha256(body).hexdigest()).rpartition("/")[2]
    path, headers = f"/v1/attempts/{dispatch['task_id']}/claims", {"pushlane-reservation": dispatch["token"]}
    put = world.api.call("PUT", f"{path}/{name}", principal=ONE, headers=headers, raw_body=body)
    assert put.status == 204
    assert world.api.call("GET", f"{path}/{name}", principal=ONE, headers=headers).text.encode() == body
    other = world.api.call("PUT", f"{path}/{name}", principal=ONE, headers=headers, raw_body=b'{"text":"y"}')
    assert other.status == 422
    assert world.api.call("GET", f"{path}/policy.json", principal=ONE, headers=headers).status == 404


def test_children_are_of_the_same_tenant_and_go_with_their_parent() -> None:
    world = World()
    dispatch = world.claimed()
    world.say(dispatch, "start")
    child: dict[str, Any] = {"idempotency_key": "half", "task_type": "work", "payload": {"n": 9}}
    made, again = world.say(dispatch, "children", **child), world.say(dispatch, "children", **child)
    assert (made.status, again.status) == (202, 202)
    assert made.body["task_id"] == again.body["task_id"]
    assert world.say(dispatch, "children", **{**child, "payload": {"n": 8}}).code == "key-conflict"
    assert world.say(dispatch, "children", **{**child, "tenant_id": "borea"}).status == 422
    world.dispatcher.command("CancelTask", task_id=dispatch["task_id"])
    world.dispatcher.run_until_idle()
    assert world.say(dispatch, "stop").status == 200
    world.dispatcher.run_until_idle()
    assert world.dispatcher.status(made.body["task_id"]) == "CANCELLED"


def test_a_producer_may_say_nothing_of_attempts() -> None:
    world = World()
    dispatch = world.claimed()
    producer = Principal(principal_id="p", role=Role.PRODUCER, tenant_id="atlas")
    assert world.say(dispatch, "start", producer).status == 403
