"""The claim check: what is one, what only looks like one, and whose it is."""

from typing import Any

import msgspec
import pytest

from pushlane.model.claim_check import (
    CLAIMED_BYTES_MAX,
    FIELD,
    ClaimCheck,
    as_claim_check,
    as_value,
    claim_key,
    claim_prefix,
)

CLAIM = ClaimCheck(key="claims/atlas/x.json", bytes=70_000, sha256="a" * 64)
VALUE: dict[str, Any] = {"key": CLAIM.key, "bytes": CLAIM.bytes, "sha256": CLAIM.sha256}


def test_a_claim_check_survives_its_json_form() -> None:
    assert as_value(CLAIM) == {FIELD: VALUE}
    assert as_claim_check(msgspec.json.decode(msgspec.json.encode(as_value(CLAIM)))) == CLAIM


@pytest.mark.parametrize("value", [{}, {"key": "x"}, {"text": FIELD}, {"nested": {FIELD: VALUE}}])
def test_an_ordinary_object_is_none(value: dict[str, Any]) -> None:
    assert as_claim_check(value) is None


@pytest.mark.parametrize(
    "value",
    [
        {FIELD: VALUE, "more": 1},
        {FIELD: None},
        {FIELD: "claims/atlas/x.json"},
        {FIELD: {}},
        {FIELD: VALUE | {"bucket": "another"}},
        {FIELD: VALUE | {"key": ""}},
        {FIELD: VALUE | {"key": "k" * 513}},
        {FIELD: VALUE | {"bytes": 1}},
        {FIELD: VALUE | {"bytes": CLAIMED_BYTES_MAX + 1}},
        {FIELD: VALUE | {"bytes": "70000"}},
        {FIELD: VALUE | {"sha256": "A" * 64}},
        {FIELD: VALUE | {"sha256": "a" * 63}},
        {FIELD: {"key": "x", "bytes": 70_000}},
    ],
)
def test_what_claims_to_be_one_has_to_be_one(value: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        as_claim_check(value)


def test_a_key_lies_under_its_tenant_and_follows_from_the_content() -> None:
    assert claim_key("atlas", "a" * 64) == claim_key("atlas", "a" * 64)
    assert claim_key("atlas", "a" * 64).startswith(claim_prefix("atlas"))
    assert len({claim_key("atlas", "a" * 64), claim_key("atlas", "b" * 64), claim_key("borea", "a" * 64)}) == 3


def test_no_tenant_lies_under_another_whose_name_it_begins_with() -> None:
    assert not claim_key("atlas-two", "a" * 64).startswith(claim_prefix("atlas"))
