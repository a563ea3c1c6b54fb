"""Policies: what a document leaves out keeps its default, what does not fit is refused by field, and docs agree."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.model.policy import DEFAULT_TIERS, Policy, PoolPolicy, Rate, SlotsOf, TaskTypePolicy, TenantPolicy
from pushlane.model.policy_document import InvalidPolicy, document_of, parse_policy, with_every_default
from pushlane.model.task import Tier
from tests.unit.model.json_schema import accepts

DOCS = Path(__file__).resolve().parents[3] / "docs"
GUIDE = (DOCS / "policy.md").read_text()
SCHEMA = json.loads((DOCS / "policy.schema.json").read_text())
EXAMPLES = [json.loads(body) for body in re.findall(r"^```json\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)]
DOCUMENTS = [one for one in EXAMPLES if "metadata" not in one]
REFUSED = re.findall(r"^\| `(\{.*\})` \| `(\$[^`]+)` \|$", GUIDE, re.MULTILINE)


def parse(document: object) -> Policy:
    return parse_policy(json.dumps(document).encode())


def refused(document: object) -> InvalidPolicy:
    with pytest.raises(InvalidPolicy) as caught:
        parse(document)
    return caught.value


def field_refused(document: object) -> str | None:
    try:
        parse(document)
    except InvalidPolicy as error:
        return error.field
    return None


def test_nothing_said_is_the_defaults() -> None:
    assert parse({}) == Policy()
    assert {tier: parse({}).tier(tier) for tier in Tier} == DEFAULT_TIERS


@pytest.mark.parametrize("tier", list(Tier))
def test_a_named_tier_keeps_its_own_defaults_for_the_rest(tier: Tier) -> None:
    policy = parse({"tiers": {tier: {"min_share": 0.3}}})
    assert policy.tier(tier) == msgspec.structs.replace(DEFAULT_TIERS[tier], min_share=0.3)
    for other in set(Tier) - {tier}:
        assert policy.tier(other) == DEFAULT_TIERS[other]


def test_a_named_tenant_is_the_default_tenant_but_for_what_is_said() -> None:
    policy = parse(
        {
            "default_tenant": {"in_flight_max": 5, "tasks_per_minute": 60, "weight": 2},
            "tenants": {"atlas": {"weight": 3}, "birch": {"in_flight_max": None, "task_burst": 7}},
        }
    )
    assert policy.tenant("atlas") == TenantPolicy(in_flight_max=5, tasks_per_minute=60, weight=3)
    assert policy.tenant("birch") == TenantPolicy(tasks_per_minute=60, weight=2, task_burst=7)
    assert policy.tenant("cedar") == policy.default_tenant


def test_what_is_not_named_has_the_defaults() -> None:
    policy = parse({"pools": {"default": {"lane_max": 5}}, "task_types": {"echo": {"preemptible": False}}})
    assert policy.pool() == PoolPolicy(lane_max=5)
    assert policy.pool("other") == PoolPolicy()
    assert policy.task_type("other") == TaskTypePolicy()


def test_the_kinds_of_resources() -> None:
    policy = parse({"resources": {"a": {"kind": "rate", "per_minute": 5}, "b": {"kind": "slots", "slots": 2}}})
    assert policy.resources == {"a": Rate(per_minute=5), "b": SlotsOf(slots=2)}


def test_every_default_can_be_seen_and_says_the_same() -> None:
    document = b'{"tiers":{"low":{"min_share":0.1}},"default_tenant":{"weight":2},"tenants":{"atlas":{}}}'
    whole = with_every_default(document)
    assert set(whole.tiers) == set(Tier)
    again = parse_policy(msgspec.json.encode(whole))
    assert again == whole
    assert all(again.tier(tier) == parse_policy(document).tier(tier) for tier in Tier)
    assert again.tenant("atlas").weight == 2


def test_the_document_that_is_kept_says_what_was_said_and_not_the_revision() -> None:
    assert (
        document_of(b' {"revision": 3, "tenants": {"atlas": {"weight": 2}}} ') == '{"tenants":{"atlas":{"weight":2}}}'
    )


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda one: next(iter(one)))
def test_the_guide_s_examples_are_policies_and_valid_for_the_schema(document: dict[str, Any]) -> None:
    assert parse(document) != Policy()
    assert accepts(SCHEMA, document)


def test_the_guide_s_first_document_does_what_the_guide_says() -> None:
    policy = parse(DOCUMENTS[0])
    assert policy.tier(Tier.LOW).longest_wait_seconds == 7_200
    assert (policy.tenant("atlas").weight, policy.tenant("atlas").in_flight_max) == (3, 50)
    assert policy.task_type("summarize").resources == ("model-tpm",)


@pytest.mark.parametrize(("document", "field"), REFUSED, ids=[field for _, field in REFUSED])
def test_what_the_guide_says_is_refused_is_refused_there(document: str, field: str) -> None:
    assert refused(json.loads(document)).field == field


def test_the_guide_holds_examples_refusals_and_every_field() -> None:
    assert len(DOCUMENTS) >= 7
    assert len(REFUSED) == 10
    for definition in SCHEMA["$defs"].values():
        for field in definition.get("properties", {}):
            assert re.search(rf"[`.\"]{field}[`\"]", GUIDE), field


def test_the_guide_s_defaults_are_those_of_the_code() -> None:
    said = dict(re.findall(r"^\| `([\w.]+)` \| ([^|]+) \|", GUIDE, re.MULTILINE))
    assert said["min_share"].startswith(", ".join(f"{one.min_share:g}" for one in DEFAULT_TIERS.values()))
    waits = ", ".join(f"{one.longest_wait_seconds:g}" for one in DEFAULT_TIERS.values())
    assert said["longest_wait_seconds"] == waits
    whole = msgspec.to_builtins(Policy())
    for name, default in whole["score"].items():
        assert float(said[f"score.{name}"]) == default
    for name in ("urgency_credit_seconds", "token_cost_ms"):
        assert float(said[name]) == whole[name]
    assert float(said["laxity_seconds"]) == whole["preemption"]["laxity_seconds"]
    assert int(said["orders_max"]) == whole["preemption"]["orders_max"]
    assert int(said["lane_max"]) == PoolPolicy().lane_max
    for name in ("waiters", "victims"):
        assert tuple(json.loads(said[name].strip("`"))) == whole["preemption"][name]


MISFITS: dict[str, tuple[object, str]] = {
    "a list": ([], "$"),
    "null": (None, "$"),
    "unknown field": ({"tenant": {}}, "$.tenant"),
    "unknown field of a tenant": ({"tenants": {"birch": {}, "atlas": {"wait": 1}}}, "$.tenants.atlas.wait"),
    "a tenant's odd name": ({"tenants": {"a b": {}}}, "$.tenants"),
    "a tenant that is no object": ({"tenants": {"atlas": 1}}, "$.tenants.atlas"),
    "tenants that are no object": ({"tenants": [1]}, "$.tenants"),
    "a name with a dot": ({"tenants": {"a.b": {"weight": 0}}}, "$.tenants.a.b.weight"),
    "deep in a tenant": (
        {"tenants": {"atlas": {"tokens_per_day": {"soft": 0}}}},
        "$.tenants.atlas.tokens_per_day.soft",
    ),
    "default tenant": ({"default_tenant": {"weight": -1}, "tenants": {"a": {}}}, "$.default_tenant.weight"),
    "a default that does not fit": ({"default_tenant": {"task_burst": 1}}, "$.default_tenant.task_burst"),
    "unknown tier": ({"tiers": {"urgent": {}}}, "$.tiers"),
    "a tier's share": ({"tiers": {"low": {"min_share": 1.5}}}, "$.tiers.low.min_share"),
    "a tier that is no object": ({"tiers": {"low": 0.5}}, "$.tiers.low"),
    "shares of more than 1": ({"tiers": {"critical": {"min_share": 0.9}}}, "$.tiers"),
    "unknown kind": ({"resources": {"tpm": {"kind": "bucket"}}}, "$.resources.tpm.kind"),
    "no kind": ({"resources": {"tpm": {"per_minute": 1}}}, "$.resources.tpm"),
    "no rate": ({"resources": {"tpm": {"kind": "rate"}}}, "$.resources.tpm"),
    "a rate too small to split": (
        {"resources": {"tpm": {"kind": "rate", "per_minute": 3, "shards": 4}}},
        "$.resources.tpm.per_minute",
    ),
    "unknown resource": ({"task_types": {"echo": {"resources": ["tpm"]}}}, "$.task_types.echo.resources[0]"),
    "a resource twice": (
        {"resources": {"s": {"kind": "slots", "slots": 1}}, "task_types": {"echo": {"resources": ["s", "s"]}}},
        "$.task_types.echo.resources[1]",
    ),
    "six resources": ({"task_types": {"echo": {"resources": list("abcdef")}}}, "$.task_types.echo.resources"),
    "a tier that preempts itself": ({"preemption": {"victims": ["critical"]}}, "$.preemption.victims"),
    "unknown waiter": ({"preemption": {"waiters": ["boss"]}}, "$.preemption.waiters[0]"),
    "a signal that flutters": ({"pools": {"p": {"pressure_on": 0.5}}}, "$.pools.p.pressure_off"),
    "a pool that lends to itself": ({"pools": {"p": {"overflow_pool": "p"}}}, "$.pools.p.overflow_pool"),
    "revision below 0": ({"revision": -1}, "$.revision"),
    "a wrong type": ({"score": {"urgency": "1"}}, "$.score.urgency"),
}


@pytest.mark.parametrize(("document", "field"), MISFITS.values(), ids=MISFITS)
def test_a_misfit_is_refused_and_its_field_is_named(document: object, field: str) -> None:
    error = refused(document)
    assert error.field == field
    assert error.reason
    assert str(error).startswith(f"{field}: ")


@pytest.mark.parametrize("document", [b"", b"{", b"\xff", b'{"a": NaN}', b"[" * 5_000])
def test_what_is_no_json_is_refused(document: bytes) -> None:
    with pytest.raises(InvalidPolicy, match=r"^\$: not JSON"):
        parse_policy(document)


def test_a_reason_says_what_there_is() -> None:
    assert "critical, high, normal, low, background" in refused({"tiers": {"urgent": {}}}).reason
    assert "'a b'" in refused({"tenants": {"a b": {}}}).reason


def test_the_schema_refuses_every_single_field_that_is_wrong() -> None:
    """What is left is about how fields fit together."""
    taken = {name for name, (document, _) in MISFITS.items() if accepts(SCHEMA, document)}
    assert taken == {
        "a default that does not fit",
        "shares of more than 1",
        "a rate too small to split",
        "unknown resource",
        "a resource twice",
        "a tier that preempts itself",
        "a signal that flutters",
        "a pool that lends to itself",
    }


leaves = st.none() | st.booleans() | st.integers(-2, 3) | st.floats(-1, 2) | st.sampled_from(["low", "rate", "x"])
names = st.sampled_from(
    ["tiers", "low", "critical", "tenants", "atlas", "weight", "min_share", "resources", "kind", "a b"]
)
anything = st.recursive(
    leaves, lambda deeper: st.dictionaries(names, deeper, max_size=3) | st.lists(deeper, max_size=2)
)


@given(st.dictionaries(names, anything, max_size=4))
def test_whatever_is_sent_is_a_policy_or_refused_by_field_and_the_schema_never_disagrees(document: Any) -> None:
    field = field_refused(document)
    assert field.startswith("$") if field else accepts(SCHEMA, document)
