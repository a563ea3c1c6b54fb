"""Tenants, policy, resources, pools, dead letters, tickets."""

from typing import Any

import pytest

from pushlane.agent import TaskContext, agent
from pushlane.api.cursors import cursor_of
from pushlane.model.ticket import open_ticket
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.api import Answer, InMemoryApi
from pushlane.testing.dispatcher import RING

ADMIN = InMemoryApi.admin()


def test_tenants_are_registered_suspended_and_let_in_again(api: InMemoryApi) -> None:
    made = [api.call("POST", "/v1/tenants", principal=ADMIN, body={"tenant_id": "cedar"}) for _ in range(2)]
    assert [one.status for one in made] == [201, 200]
    told = api.call("PATCH", "/v1/tenants/cedar", principal=ADMIN, body={"status": "suspended"})
    assert told.body["status"] == "suspended"
    listed = api.call("GET", "/v1/tenants", principal=ADMIN).body["tenants"]
    assert {one["tenant_id"]: one["status"] for one in listed} == {
        "atlas": "active",
        "birch": "active",
        "cedar": "suspended",
    }
    api.call("PATCH", "/v1/tenants/cedar", principal=ADMIN, body={"status": "active"})
    assert api.call("POST", "/v1/tenants", principal=ADMIN, body={"tenant_id": "cedar"}).body["status"] == "active"
    unknown = api.call("PATCH", "/v1/tenants/nobody", principal=ADMIN, body={"status": "active"})
    assert (unknown.status, unknown.code) == (404, "unknown-tenant")


def set_policy(api: InMemoryApi, document: dict[str, Any], revision: str) -> Answer:
    return api.call("PUT", "/v1/policy", principal=ADMIN, body=document, headers={"If-Match": revision})


def test_a_policy_is_set_if_nobody_was_faster(api: InMemoryApi) -> None:
    assert api.call("GET", "/v1/policy", principal=ADMIN).headers["etag"] == '"0"'
    document = {"tenants": {"atlas": {"weight": 3}}}
    made = set_policy(api, document, '"0"')
    assert (made.status, made.body["revision"], made.body["changed_by"]) == (200, 1, "api:admin")
    slower = set_policy(api, {}, '"0"')
    assert (slower.status, slower.code) == (409, "policy-moved")
    assert api.call("GET", "/v1/policy", principal=ADMIN).body["policy"] == document
    assert api.call("GET", "/v1/policy", principal=ADMIN, query={"revision": 7}).status == 404


def test_a_policy_is_refused_by_field(api: InMemoryApi) -> None:
    refused = set_policy(api, {"tenants": {"atlas": {"weight": -1}}}, '"0"')
    assert (refused.status, refused.body["errors"][0]["field"]) == (422, "$.tenants.atlas.weight")
    for header in ("", "x", '"-1"', "*"):
        missing = set_policy(api, {}, header)
        assert (missing.status, missing.body["errors"][0]["field"]) == (422, "header.if-match")


def test_resources_and_pools_at_a_glance(api: InMemoryApi) -> None:
    set_policy(api, {"resources": {"llm": {"kind": "slots", "slots": 3}}}, '"0"')
    api.dispatcher.clock.advance(2_000)
    for _ in range(3):
        api.call("POST", "/v1/tasks", principal=api.producer(), body={"task_type": "echo"})
    [resource] = api.call("GET", "/v1/resources", principal=ADMIN).body["resources"]
    assert (resource["name"], resource["limit"], resource["used"]) == ("llm", 3, 0)
    [pool] = api.call("GET", "/v1/pools", principal=ADMIN).body["pools"]
    assert (pool["agents"][0]["used"], pool["waiting"]) == (1, {"normal": 2})


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/policy"), ("GET", "/v1/resources"), ("GET", "/v1/pools"), ("GET", "/v1/tenants")]
)
def test_the_installation_is_not_for_who_is_bound_to_a_tenant(api: InMemoryApi, method: str, path: str) -> None:
    for principal in (api.operator("atlas"), api.producer(), api.agent()):
        assert api.call(method, path, principal=principal).status == 403


@pytest.fixture
def dead(dispatcher: InMemoryDispatcher) -> tuple[InMemoryApi, list[str]]:
    """An API, and three dead tasks of atlas and one of birch."""

    @agent(task_types=("fail",))
    def fail(_ctx: TaskContext, _payload: dict[str, Any]) -> dict[str, Any]:
        raise ValueError("as ordered")

    dispatcher.register(fail, agent_id="two")
    api = InMemoryApi(dispatcher)
    body = {"task_type": "fail", "retry": {"max_attempts": 1}}
    ids = [
        str(api.call("POST", "/v1/tasks", principal=api.producer(tenant_id), body=body).body["task_id"])
        for tenant_id in ("atlas", "atlas", "birch", "atlas")
    ]
    dispatcher.run_until_idle()
    return api, ids


def listed(api: InMemoryApi, tenant_id: str | None, **query: Any) -> list[str]:
    found: list[str] = []
    cursor: str | None = None
    while True:
        asked = query | ({"cursor": cursor} if cursor else {})
        page = api.call("GET", "/v1/dead-letters", principal=api.operator(tenant_id), query=asked).body
        found += [one["task_id"] for one in page["tasks"]]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def test_dead_letters_are_those_of_the_tenant_or_all(dead: tuple[InMemoryApi, list[str]]) -> None:
    api, ids = dead
    assert sorted(listed(api, None, limit=1)) == sorted(ids)
    assert sorted(listed(api, "atlas", limit=2)) == sorted([ids[0], ids[1], ids[3]])
    assert listed(api, "birch") == [ids[2]]
    assert listed(api, None, tenant="birch") == [ids[2]]
    assert listed(api, None, task_type="other") == []
    assert listed(api, None, pool="other") == []


def test_a_dead_task_is_looked_at_redriven_or_discarded(dead: tuple[InMemoryApi, list[str]]) -> None:
    api, (first, second, *_) = dead
    operator = api.operator("atlas")
    shown = api.call("GET", f"/v1/dead-letters/{first}", principal=operator).body
    assert (shown["error_type"], shown["error_message"]) == ("ValueError", "as ordered")
    back = api.call("POST", f"/v1/dead-letters/{first}/redrive", principal=operator, body={})
    assert back.status == 202
    assert back.body["status"] in ("DISPATCHED", "RETRYING", "PARKED")
    late = api.call("POST", f"/v1/dead-letters/{first}/redrive", principal=operator, body={})
    assert (late.status, late.code) == (409, "not-dead")
    over = api.call("POST", f"/v1/dead-letters/{second}/discard", principal=operator, body={"reason": "useless"})
    assert (over.status, over.body["status"]) == (200, "FAILED")
    assert api.call("POST", f"/v1/dead-letters/{second}/discard", principal=operator, body={}).status == 200
    assert api.call("GET", f"/v1/dead-letters/{second}", principal=operator).status == 409


def test_another_epoch_is_another_death(dead: tuple[InMemoryApi, list[str]]) -> None:
    api, (first, *_) = dead
    said = api.call("POST", f"/v1/dead-letters/{first}/redrive", principal=api.operator(), body={"epoch": 9})
    assert (said.status, said.code) == (409, "not-dead")


def test_a_ticket_is_for_one_stream_of_ones_own(api: InMemoryApi) -> None:
    body = {"task_type": "echo"}
    mine, theirs = (
        api.call("POST", "/v1/tasks", principal=api.producer(tenant_id), body=body).body["task_id"]
        for tenant_id in ("atlas", "birch")
    )
    path, producer = "/v1/stream-tickets", api.producer()
    made = api.call("POST", path, principal=producer, body={"stream": mine, "life_seconds": 60})
    claims = open_ticket(made.body["ticket"], RING, api.dispatcher.clock.now_ms())
    assert (made.status, claims.stream, claims.principal.tenant_id) == (201, mine, "atlas")
    assert claims.expires_at_ms == api.dispatcher.clock.now_ms() + 60_000
    foreign, unknown = (
        api.call("POST", path, principal=producer, body={"stream": one}) for one in (theirs, "t-nobody")
    )
    assert (
        (foreign.status, foreign.body["detail"])
        == (unknown.status, unknown.body["detail"])
        == (
            404,
            "no stream of this id is known",
        )
    )
    assert api.call("POST", path, principal=producer, body={}).status == 201


@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/workflows", "/v1/dead-letters"])
@pytest.mark.parametrize(
    "place", ["", "x", ["", ""], ["default", "x" * 900], {"0": [1, ""]}, {"9": [1, "t"]}, {"0": [-1, "t"]}, 7, None]
)
def test_a_made_up_cursor_is_refused(api: InMemoryApi, path: str, place: Any) -> None:
    asked = {"cursor": cursor_of(place)}
    refused = api.call("GET", path, principal=api.operator("atlas"), query=asked)
    assert (refused.status, refused.body["errors"][0]["field"]) == (422, "query.cursor")
