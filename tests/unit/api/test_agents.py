"""Agents over HTTP: who registers what, who claims, and what becomes of an agent that drains or falls silent."""

from typing import Any

import pytest

from pushlane.model.principal import Principal, Role
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.api import Answer, InMemoryApi

ONE = Principal(principal_id="one", role=Role.AGENT, pool="gpu", agent_id="one")
OF_POOL = Principal(principal_id="pool", role=Role.AGENT, pool="gpu")
ADMIN = Principal(principal_id="admin", role=Role.ADMIN)
BOUND_OPERATOR = Principal(principal_id="op", role=Role.OPERATOR, tenant_id="atlas")
BOUND_AGENT = Principal(principal_id="bound", role=Role.AGENT, pool="gpu", tenant_id="atlas")
PULL: dict[str, Any] = {"capabilities": ["work"], "slots": 2, "endpoint": {"kind": "pull"}}
LAMBDA = "arn:aws:lambda:eu-west-1:123456789012:function:x"


class World:
    def __init__(self) -> None:
        self.dispatcher = InMemoryDispatcher()
        self.api = InMemoryApi(self.dispatcher)

    def call(self, method: str, path: str, principal: Principal = ONE, body: Any = None, **query: Any) -> Answer:
        return self.api.call(method, f"/v1/agents{path}", principal=principal, body=body, query=query)

    def claim(self, claim_id: str = "c-1", principal: Principal = ONE, **more: Any) -> Answer:
        return self.call("POST", "/one/claim", principal, {"claim_id": claim_id, **more})

    def submit(self) -> str:
        task_id = self.dispatcher.submit(task_type="work", pool="gpu")
        self.dispatcher.run_until_idle()
        return task_id


def test_an_agent_registers_itself_and_is_seen() -> None:
    world = World()
    made, again = world.call("PUT", "/one", body=PULL), world.call("PUT", "/one", body={**PULL, "slots": 3})
    assert (made.status, again.status) == (201, 200)
    assert world.call("GET", "/one").body == again.body
    assert (again.body["pool"], again.body["slots"], again.body["endpoint"]["kind"]) == ("gpu", 3, "pull")
    assert [one["agent_id"] for one in world.call("GET", "", OF_POOL).body["agents"]] == ["one"]
    assert world.call("GET", "", ADMIN, pool="gpu").body["agents"][0]["agent_id"] == "one"


def test_a_credential_speaks_for_its_own_agent_and_pool_alone() -> None:
    world = World()
    world.call("PUT", "/one", body=PULL)
    assert world.call("PUT", "/two", body=PULL).status == 404
    assert world.call("GET", "/two", OF_POOL).status == 404
    assert world.call("GET", "/one", pool="default").status == 403
    assert world.call("GET", "/one", BOUND_OPERATOR).status == 403
    for stranger in (BOUND_AGENT,):
        assert world.call("PUT", "/one", stranger, PULL).status == 403
        assert world.claim(principal=stranger).status == 403
    assert world.claim(principal=ADMIN).status == 403


@pytest.mark.parametrize(
    ("endpoint", "field"),
    [
        ({"kind": "pull", "target": "x"}, "$.endpoint.target"),
        ({"kind": "https", "target": "http://agent.example/"}, "$.endpoint.target"),
        ({"kind": "https", "target": "https://127.0.0.1/"}, "$.endpoint.target"),
        ({"kind": "https", "target": "https://user@agent.example/"}, "$.endpoint.target"),
        ({"kind": "https"}, "$.endpoint.target"),
        ({"kind": "websocket", "target": "abc"}, "$.endpoint.target"),
        ({"kind": "pigeon"}, "$.endpoint.kind"),
    ],
)
def test_an_endpoint_that_does_not_fit_is_named(endpoint: dict[str, str], field: str) -> None:
    answer = World().call("PUT", "/one", body={**PULL, "endpoint": endpoint})
    assert (answer.status, answer.body["errors"][0]["field"]) == (422, field)


def test_where_the_router_sends_with_its_own_rights_is_an_operators_word() -> None:
    world = World()
    body = {**PULL, "endpoint": {"kind": "lambda", "target": LAMBDA}}
    assert world.call("PUT", "/one", body=body).status == 403
    assert world.call("PUT", "/one", ADMIN, body, pool="gpu").status == 201


def test_an_agent_behind_a_url_is_told_its_secret_when_it_registers_and_then_no_more() -> None:
    world = World()
    body = {**PULL, "endpoint": {"kind": "https", "target": "https://agent.example/dispatch"}}
    assert world.call("PUT", "/one", body=body).body["signing_secret"].startswith("whsec_")
    assert world.call("GET", "/one").body["signing_secret"] is None


def test_a_claim_looks_again_for_a_while() -> None:
    world = World()
    world.call("PUT", "/one", body=PULL)
    before_ms = world.dispatcher.clock.now_ms()
    assert world.claim(wait_seconds=3).body["dispatches"] == []
    assert world.dispatcher.clock.now_ms() == before_ms + 3_000
    task_id = world.submit()
    assert [one["task_id"] for one in world.claim("c-2", wait_seconds=3).body["dispatches"]] == [task_id]
    assert world.dispatcher.clock.now_ms() == before_ms + 3_000


def test_a_repeated_claim_is_answered_alike() -> None:
    world = World()
    world.call("PUT", "/one", body=PULL)
    task_id = world.submit()
    found = [world.claim("c-1").body["dispatches"] for _ in range(3)]
    assert [[one["task_id"] for one in answer] for answer in found] == [[task_id]] * 3
    assert world.claim("c-2").body["dispatches"] == []


def test_only_a_known_pull_agent_claims() -> None:
    world = World()
    assert world.claim().status == 404
    url = {"kind": "https", "target": "https://agent.example/"}
    world.call("PUT", "/one", body={**PULL, "endpoint": url})
    assert (world.claim().status, world.claim().code) == (409, "not-pulling")


@pytest.mark.parametrize("said", [{"max": 0}, {"max": 11}, {"wait_seconds": 21}, {"claim_id": "a b"}, {"more": 1}])
def test_a_claim_that_asks_for_too_much_is_refused(said: dict[str, Any]) -> None:
    world = World()
    world.call("PUT", "/one", body=PULL)
    assert world.claim(**said).status == 422


def test_claims_and_heartbeats_keep_a_silent_agent_alive() -> None:
    world = World()
    world.call("PUT", "/one", body={**PULL, "heartbeat_seconds": 30})
    assert world.call("GET", "/one").body["status"] == "UNAVAILABLE"
    task_id = world.submit()
    assert [one["task_id"] for one in world.claim().body["dispatches"]] == [task_id]
    assert world.call("GET", "/one").body["status"] == "ACTIVE"
    world.dispatcher.advance(20)
    assert world.call("POST", "/one/heartbeat").body["outcome"] == "heard"
    world.dispatcher.advance(20)
    assert world.call("GET", "/one").body["status"] == "ACTIVE"
    world.dispatcher.advance(60)
    assert world.call("GET", "/one").body["status"] == "UNAVAILABLE"


def test_an_agent_without_heartbeats_need_send_none() -> None:
    world = World()
    world.call("PUT", "/one", body=PULL)
    assert world.call("POST", "/one/heartbeat").code == "no-heartbeats"


def test_a_drained_agent_is_removed_once_it_runs_nothing() -> None:
    world = World()
    world.call("PUT", "/one", body=PULL)
    world.submit()
    [dispatch] = world.claim().body["dispatches"]
    assert world.call("POST", "/one/drain").body["status"] == "DRAINING"
    assert world.call("DELETE", "/one").status == 202
    path, proof = f"/v1/attempts/{dispatch['task_id']}", {"pushlane-reservation": dispatch["token"]}
    for word in ("start", "complete"):
        said = world.api.call("POST", f"{path}/{word}", principal=ONE, headers=proof, body={"runner": "r"})
        assert said.status == 200
    assert world.call("DELETE", "/one").status == 200
    assert world.call("GET", "/one").status == 404
    assert world.call("POST", "/one/drain").status == 404
