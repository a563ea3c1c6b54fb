"""Every bad body is refused by field and code, and what just fits is taken."""

import json

import pytest

from pushlane.model.claim_check import INLINE_BYTES_MAX
from pushlane.model.nesting import NESTING_MAX
from pushlane.router.intake import (
    REASON_MAX,
    reject,
)
from pushlane.testing import submit_envelope
from tests.unit.router.submissions import CLAIM, NOW, a_record, deep, raw_payload, refused, sized, taken, with_metadata

BAD: dict[str, tuple[object, str, str]] = {
    "empty": (b"", "$", "not_json"),
    "no json": (b"hello", "$", "not_json"),
    "half": (b'{"metadata":', "$", "not_json"),
    "two values": (json.dumps(submit_envelope()).encode() + b" {}", "$", "not_json"),
    "not utf-8": (b"\xff\xfe{}", "$", "not_json"),
    "not utf-8 inside": (raw_payload('{"a":"@"}').replace(b"@", b"\xc3("), "$", "not_json"),
    "nul": (b"\x00", "$", "not_json"),
    "nan": (raw_payload('{"a":NaN}'), "$", "not_json"),
    "infinity": (raw_payload('{"a":-Infinity}'), "$", "not_json"),
    "number out of range": (raw_payload('{"a":1e999}'), "$.data.payload[...]", "invalid"),
    "lone surrogate": (raw_payload('{"a":"\\ud800"}'), "$", "not_json"),
    "list": ([], "$", "invalid"),
    "number": (1, "$", "invalid"),
    "null": (None, "$", "invalid"),
    "text": ("SubmitTask", "$", "invalid"),
    "empty object": ({}, "$", "invalid"),
    "no data": ({"metadata": {"name": "SubmitTask", "version": 1}}, "$", "invalid"),
    "no metadata": ({"data": {"tenant_id": "atlas", "task_type": "echo"}}, "$", "invalid"),
    "unknown beside": (submit_envelope() | {"extra": 1}, "$", "invalid"),
    "unknown in metadata": (with_metadata(extra=1), "$.metadata", "invalid"),
    "unknown in data": (submit_envelope(extra=1), "$.data", "invalid"),
    "unknown in retry": (submit_envelope(retry={"tries": 1}), "$.data.retry", "invalid"),
    "unknown in estimate": (submit_envelope(estimate={"cost": 1}), "$.data.estimate", "invalid"),
    "version 2": (with_metadata(version=2), "$.metadata.version", "invalid"),
    "another event": (with_metadata(name="CancelTask"), "$.metadata.name", "invalid"),
    "depth 9": (with_metadata(depth=9), "$.metadata.depth", "invalid"),
    "intake slot 16": (with_metadata(intake=16), "$.metadata.intake", "invalid"),
    "intake slot text": (with_metadata(intake="3"), "$.metadata.intake", "invalid"),
    "depth -1": (with_metadata(depth=-1), "$.metadata.depth", "invalid"),
    "long correlation": (with_metadata(correlation_id="x" * 129), "$.metadata.correlation_id", "invalid"),
    "long traceparent": (with_metadata(traceparent="x" * 65), "$.metadata.traceparent", "invalid"),
    "tenant missing": ({**submit_envelope(), "data": {"task_type": "echo"}}, "$.data", "invalid"),
    "tenant null": (submit_envelope(tenant_id=None), "$.data.tenant_id", "invalid"),
    "tenant number": (submit_envelope(tenant_id=1), "$.data.tenant_id", "invalid"),
    "tenant empty": (submit_envelope(tenant_id=""), "$.data.tenant_id", "invalid"),
    "tenant with #": (submit_envelope(tenant_id="atlas#1"), "$.data.tenant_id", "invalid"),
    "tenant with newline": (submit_envelope(tenant_id="atlas\n"), "$.data.tenant_id", "invalid"),
    "tenant of 65": (submit_envelope(tenant_id="a" * 65), "$.data.tenant_id", "invalid"),
    "tenant unknown": (submit_envelope(tenant_id="stranger"), "$.data.tenant_id", "unknown_tenant"),
    "type with space": (submit_envelope(task_type="a b"), "$.data.task_type", "invalid"),
    "pool with #": (submit_envelope(pool="a#b"), "$.data.pool", "invalid"),
    "pool null": (submit_envelope(pool=None), "$.data.pool", "invalid"),
    "tier": (submit_envelope(tier="urgent"), "$.data.tier", "invalid"),
    "tier in capitals": (submit_envelope(tier="HIGH"), "$.data.tier", "invalid"),
    "capabilities empty": (submit_envelope(capabilities=[]), "$.data.capabilities", "invalid"),
    "capabilities 11": (submit_envelope(capabilities=[f"c{n}" for n in range(11)]), "$.data.capabilities", "invalid"),
    "capability with #": (submit_envelope(capabilities=["a", "b#"]), "$.data.capabilities[1]", "invalid"),
    "capabilities text": (submit_envelope(capabilities="echo"), "$.data.capabilities", "invalid"),
    "deadline negative": (submit_envelope(deadline_ms=-1), "$.data.deadline_ms", "invalid"),
    "deadline text": (submit_envelope(deadline_ms="2030-01-01"), "$.data.deadline_ms", "invalid"),
    "deadline fraction": (submit_envelope(deadline_ms=1.5), "$.data.deadline_ms", "invalid"),
    "deadline in nanoseconds": (submit_envelope(deadline_ms=NOW * 1_000_000), "$.data.deadline_ms", "invalid"),
    "runtime zero": (submit_envelope(estimate={"runtime_seconds": 0}), "$.data.estimate.runtime_seconds", "invalid"),
    "tokens negative": (submit_envelope(estimate={"tokens": -1}), "$.data.estimate.tokens", "invalid"),
    "attempts 0": (submit_envelope(retry={"max_attempts": 0}), "$.data.retry.max_attempts", "invalid"),
    "attempts 11": (submit_envelope(retry={"max_attempts": 11}), "$.data.retry.max_attempts", "invalid"),
    "backoff upside down": (
        submit_envelope(retry={"backoff_seconds": 9, "backoff_max_seconds": 8}),
        "$.data.retry.backoff_max_seconds",
        "invalid",
    ),
    "backoff below the default": (
        submit_envelope(retry={"backoff_seconds": 61}),
        "$.data.retry.backoff_max_seconds",
        "invalid",
    ),
    "key empty": (submit_envelope(idempotency_key=""), "$.data.idempotency_key", "invalid"),
    "key with newline": (submit_envelope(idempotency_key="k\n"), "$.data.idempotency_key", "invalid"),
    "key of 129": (submit_envelope(idempotency_key="k" * 129), "$.data.idempotency_key", "invalid"),
    "labels 11": (submit_envelope(labels={f"l{n}": "x" for n in range(11)}), "$.data.labels", "invalid"),
    "label name": (submit_envelope(labels={"a b": "x"}), "$.data.labels", "invalid"),
    "label number": (submit_envelope(labels={"a": 1}), "$.data.labels[...]", "invalid"),
    "label long": (submit_envelope(labels={"a": "x" * 129}), "$.data.labels[...]", "invalid"),
    "payload list": (submit_envelope(payload=[1]), "$.data.payload", "invalid"),
    "payload text": (submit_envelope(payload="x"), "$.data.payload", "invalid"),
    "payload null": (submit_envelope(payload=None), "$.data.payload", "invalid"),
    "payload too large": (submit_envelope(payload=sized(INLINE_BYTES_MAX + 1)), "$.data.payload", "oversize"),
    "payload too deep": (deep(NESTING_MAX + 1), "$.data.payload", "too_deep"),
    "payload deeper than a decoder goes": (deep(100_000), "$", "not_json"),
    "claim malformed": (
        submit_envelope(payload={"$claim_check": {"key": "x"}}),
        "$.data.payload.$claim_check",
        "invalid",
    ),
    "claim not alone": (
        submit_envelope(payload={"$claim_check": CLAIM, "more": 1}),
        "$.data.payload.$claim_check",
        "invalid",
    ),
    "claim of another tenant": (
        submit_envelope(payload={"$claim_check": CLAIM | {"key": "claims/borea/x.json"}}),
        "$.data.payload.$claim_check.key",
        "foreign_claim",
    ),
    "claim of a tenant whose name begins alike": (
        submit_envelope(payload={"$claim_check": CLAIM | {"key": "claims/atlas-two/x.json"}}),
        "$.data.payload.$claim_check.key",
        "foreign_claim",
    ),
}


@pytest.mark.parametrize(("body", "field", "code"), BAD.values(), ids=BAD)
def test_a_bad_body_is_refused_by_field_and_code(body: object, field: str, code: str) -> None:
    error = refused(body)
    assert (error.field, error.code) == (field, code)
    assert error.reason


def test_the_table_is_worth_its_name() -> None:
    assert len(BAD) >= 40


@pytest.mark.parametrize(
    "body",
    [
        submit_envelope(payload=sized(INLINE_BYTES_MAX)),
        submit_envelope(payload={"$claim_check": CLAIM}),
        submit_envelope(payload={"a": 10**40, "b": "\U0001f600\ufffe"}),
        submit_envelope(capabilities=[f"c{n}" for n in range(10)], labels={f"l{n}": "é" * 128 for n in range(10)}),
        submit_envelope(tenant_id="borea", deadline_ms=0, idempotency_key="k" * 128),
        with_metadata(depth=8, correlation_id="c" * 128),
        deep(NESTING_MAX),
    ],
)
def test_what_just_fits_is_taken(body: object) -> None:
    assert taken(body).task_type == "echo"


def test_a_capability_that_is_named_twice_or_in_another_order_is_the_same_work() -> None:
    assert taken(submit_envelope(capabilities=["b", "a", "b"])).capabilities == ("a", "b")
    assert taken(submit_envelope()).capabilities == ("echo",)


@pytest.mark.parametrize(
    ("body", "tenant_id"),
    [
        (submit_envelope(tenant_id="stranger"), "stranger"),
        (submit_envelope(tenant_id="a" * 65), None),
        (submit_envelope(tenant_id="a\x01"), None),
        (submit_envelope(tenant_id=""), None),
        (submit_envelope(tenant_id=1), None),
        ({"data": []}, None),
        ([], None),
        (b"junk", None),
    ],
)
def test_a_rejection_names_the_tenant_only_if_that_can_be_one(body: object, tenant_id: str | None) -> None:
    assert reject(a_record(body), refused(body)).tenant_id == tenant_id


@pytest.mark.parametrize("body", [submit_envelope(tier="x" * 900_000), submit_envelope(**{"x" * 900_000: 1})])
def test_a_reason_does_not_repeat_the_record(body: object) -> None:
    assert len(reject(a_record(body), refused(body)).reason) == REASON_MAX
