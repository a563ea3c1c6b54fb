"""What a producer says becomes a checked event, or an error that names the field."""

import datetime as dt
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.client import InvalidSubmission, SubmitData
from pushlane.client.envelope import encoded_payload, prepare
from pushlane.model.events import SubmitTask
from pushlane.model.ids import intake_slot, keyed_task_id

VALID: dict[str, Any] = {"tenant_id": "atlas", "task_type": "extract"}


def test_a_given_key_decides_the_task_id() -> None:
    prepared = prepare({**VALID, "idempotency_key": "order-7"}, fresh_key="unused")
    assert prepared.task_id == keyed_task_id("atlas", "order-7")
    assert prepared.idempotency_key == "order-7"


def test_without_a_key_the_fresh_one_is_used_and_travels() -> None:
    prepared = prepare(VALID, fresh_key="fresh")
    assert prepared.event.data.idempotency_key == "fresh"
    assert prepared.task_id == keyed_task_id("atlas", "fresh")


def test_structs_and_mappings_give_the_same_event() -> None:
    from_struct = prepare(SubmitData(tenant_id="atlas", task_type="extract"), fresh_key="k")
    assert from_struct == prepare(VALID, fresh_key="k")


def test_the_encoded_event_is_what_the_router_decodes() -> None:
    prepared = prepare({**VALID, "labels": {"chain": "digest"}}, fresh_key="k", correlation_id="c-1")
    assert msgspec.json.decode(prepared.encoded(), type=SubmitTask) == prepared.event


@given(st.from_regex(r"[a-z]{1,8}", fullmatch=True))
def test_the_metadata_carries_the_intake_slot_of_the_tenant(tenant_id: str) -> None:
    prepared = prepare({**VALID, "tenant_id": tenant_id}, fresh_key="k")
    assert prepared.event.metadata.intake == intake_slot(tenant_id)
    assert f'"intake":{intake_slot(tenant_id)}' in prepared.encoded()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"tenant_id": "no spaces"}, "$.data.tenant_id"),
        ({"tier": "urgent"}, "$.data.tier"),
        ({"task_type": ""}, "$.data.task_type"),
        ({"retry": {"max_attempts": 99}}, "$.data.retry.max_attempts"),
        ({"labels": {"a": "x" * 200}}, "$.data.labels[...]"),
        ({"idempotency_key": "two words"}, "$.data.idempotency_key"),
        ({"payload": [1]}, "$.data.payload"),
        ({"surprise": 1}, "$.data"),
    ],
)
def test_an_invalid_field_is_named(change: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidSubmission) as raised:
        prepare({**VALID, **change}, fresh_key="k")
    assert raised.value.field == field


def test_a_struct_is_checked_as_strictly_as_a_mapping() -> None:
    with pytest.raises(InvalidSubmission) as raised:
        prepare(SubmitData(tenant_id="#", task_type="extract"), fresh_key="k")
    assert raised.value.field == "$.data.tenant_id"


def test_a_payload_that_is_not_json_is_refused() -> None:
    with pytest.raises(InvalidSubmission, match="not JSON"):
        prepare({**VALID, "payload": {"x": object()}}, fresh_key="k")


def test_what_json_can_write_of_python_is_taken() -> None:
    prepared = prepare({**VALID, "payload": {"day": dt.date(2026, 1, 2), "pair": (1, 2)}}, fresh_key="k")
    assert prepared.event.data.payload == {"day": "2026-01-02", "pair": (1, 2)}
    assert '"pair":[1,2]' in prepared.encoded()


def test_a_payload_above_the_claimed_limit_is_refused() -> None:
    prepared = prepare({**VALID, "payload": {"text": "x" * (16 * 1024 * 1024)}}, fresh_key="k")
    with pytest.raises(InvalidSubmission) as raised:
        encoded_payload(prepared)
    assert raised.value.field == "$.data.payload"


@given(st.dictionaries(st.text(max_size=5), st.integers(-9, 9), max_size=6))
def test_equal_payloads_have_equal_bytes_whatever_their_order(payload: dict[str, int]) -> None:
    turned = dict(reversed(payload.items()))
    one, other = (prepare({**VALID, "payload": one}, fresh_key="k") for one in (payload, turned))
    assert encoded_payload(one) == encoded_payload(other)
