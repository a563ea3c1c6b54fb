"""Measures and samples over the API: of one's own tenant, of all for the installation's operators."""

from typing import Any

import pytest

from pushlane.agent import TaskContext, agent
from pushlane.testing.api import Answer, InMemoryApi

OPERATOR = InMemoryApi.operator()


@agent(task_types=("work",))
def work(_ctx: TaskContext, payload: dict[str, Any]) -> dict[str, Any]:
    return payload


@pytest.fixture
def measured(api: InMemoryApi) -> InMemoryApi:
    """Two tasks of atlas and one of birch have run."""
    dispatcher = api.dispatcher
    dispatcher.register(work, agent_id="worker", slots=2)
    for tenant_id, tier in (("atlas", "high"), ("atlas", "low"), ("birch", "low")):
        dispatcher.submit(tenant_id=tenant_id, task_type="work", tier=tier)
    dispatcher.run_until_idle()
    dispatcher.sweep()
    return api


def measures(api: InMemoryApi, principal: Any, **query: Any) -> Answer:
    return api.call("GET", "/v1/measures", principal=principal, query=query)


def test_a_tenant_reads_its_own(measured: InMemoryApi) -> None:
    [summary] = measures(measured, measured.producer("atlas")).body["summaries"]
    assert (summary["tenant_id"], summary["tier"], summary["weight"]) == ("atlas", None, 1.0)
    assert summary["counts"] == {"started": 2, "succeeded": 2}
    assert summary["latencies"]["pickup"]["count"] == 2
    tiers = measures(measured, measured.producer("atlas"), by="tenant_tier").body["summaries"]
    assert [one["tier"] for one in tiers] == ["high", "low"]


def test_a_tenant_reads_nobody_else_s(measured: InMemoryApi) -> None:
    assert measures(measured, measured.producer("birch"), tenant="atlas").status == 403
    [summary] = measures(measured, measured.operator("birch")).body["summaries"]
    assert summary["tenant_id"] == "birch"


def test_the_installation_s_operators_read_all_or_one(measured: InMemoryApi) -> None:
    everybody = measures(measured, OPERATOR).body["summaries"]
    assert [one["tenant_id"] for one in everybody] == ["atlas", "birch"]
    [one] = measures(measured, OPERATOR, tenant="birch").body["summaries"]
    assert one["counts"]["started"] == 1


def test_a_period_is_bounded_and_named(measured: InMemoryApi) -> None:
    now_ms = measured.dispatcher.clock.now_ms()
    assert measures(measured, OPERATOR, to=now_ms - 60_000).body["summaries"] == []
    minutes = measures(measured, OPERATOR, **{"from": now_ms - 3_600_000, "to": now_ms + 1, "by": "minute"}).body
    assert {one["to_ms"] - one["from_ms"] for one in minutes["summaries"]} == {60_000}
    for query, field in (
        ({"from": now_ms, "to": now_ms}, "query.from"),
        ({"from": 0, "to": now_ms}, "query.from"),
        ({"from": "yesterday"}, "query.from"),
        ({"by": "task"}, "query.by"),
    ):
        refused = measures(measured, OPERATOR, **query)
        assert (refused.status, refused.body["errors"][0]["field"]) == (422, field)


def test_samples_of_a_pool(measured: InMemoryApi) -> None:
    told = measured.call("GET", "/v1/pools/default/samples", principal=OPERATOR)
    assert told.status == 200
    [sample] = told.body["samples"]
    assert (sample["pool"], sample["slots"], sample["used"], sample["waiting"]) == ("default", 3, 0, 0)
    assert [one["resource"] for one in sample["resources"]] == ["agent-slots"]
    unknown = measured.call("GET", "/v1/pools/nowhere/samples", principal=OPERATOR)
    assert (unknown.status, unknown.code) == (404, "unknown-pool")
    assert measured.call("GET", "/v1/pools/default/samples", principal=measured.operator("atlas")).status == 403
