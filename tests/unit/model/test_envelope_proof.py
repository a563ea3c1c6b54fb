"""The proof of a signed envelope: of what it says, however its JSON is written, and of nothing else."""

import json
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.model.envelope_proof import (
    EnvelopeKey,
    InvalidEnvelopeKey,
    Proof,
    canonical,
    check_proof,
    envelope_key,
    proof_of,
    signed_envelope,
    unrepeatable,
)
from pushlane.model.errors import InvalidToken
from pushlane.model.events import SubmitData, SubmitTask
from pushlane.model.keyring import KeyRing, ring_of
from pushlane.testing import submit_envelope

RING = ring_of(b"a key for tests only, thirty-two bytes")
KEY = envelope_key(RING, "abcd1234", "atlas")
ENVELOPE: dict[str, Any] = submit_envelope(payload={"a": 1, "b": [1.5, "é"]}, idempotency_key="k")

NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def encoded(value: object) -> bytes:
    return msgspec.json.encode(value)


def in_another_order(value: Any, chance: random.Random) -> Any:
    if isinstance(value, dict):
        items = [(name, in_another_order(one, chance)) for name, one in value.items()]
        chance.shuffle(items)
        return dict(items)
    return [in_another_order(one, chance) for one in value] if isinstance(value, list) else value


def as_floats(value: Any) -> Any:
    """Whole numbers that every reader holds exactly, written with a point, as some writers do."""
    if isinstance(value, dict):
        return {name: as_floats(one) for name, one in value.items()}
    if isinstance(value, list):
        return [as_floats(one) for one in value]
    return float(value) if type(value) is int and abs(value) < 2**53 else value


@given(JSON, st.randoms(use_true_random=False), st.booleans(), st.sampled_from([None, 0, 2]), st.booleans())
def test_a_channel_that_writes_the_json_anew_leaves_the_proof_good(
    payload: Any, chance: random.Random, ascii_only: bool, indent: int | None, with_points: bool
) -> None:
    """As EventBridge does: other white space, other order, other escapes, other forms of the same numbers."""
    first = signed_envelope(encoded(ENVELOPE | {"data": {"payload": payload}}), KEY)
    said = in_another_order(json.loads(first), chance)
    said["data"] = as_floats(said["data"]) if with_points else said["data"]
    anew = json.dumps(said, ensure_ascii=ascii_only, indent=indent).replace("/", chance.choice(["/", "\\/"])).encode()
    proof = msgspec.convert(said["metadata"]["proof"], Proof)
    check_proof(proof, anew, KEY)
    assert canonical(anew) == canonical(first)


@given(JSON, JSON)
def test_other_data_has_another_proof(one: Any, other: Any) -> None:
    first, second = (encoded(ENVELOPE | {"data": {"payload": value}}) for value in (one, other))
    if canonical(first) != canonical(second):
        with pytest.raises(InvalidToken, match="not of what it says"):
            check_proof(proof_of(first, KEY), second, KEY)
    else:
        assert json.loads(first)["data"] == json.loads(second)["data"]


def test_canonical_is_what_a_producer_in_another_language_can_make() -> None:
    envelope = (
        b'{"metadata": {"version": 1, "name": "SubmitTask", "depth": 3}, "data": {"b": 1e2, "a": "\\u00e9", "c": 0.50}}'
    )
    assert canonical(envelope) == '{"data":{"a":"é","b":100,"c":0.5},"name":"SubmitTask","version":1}'.encode()


@pytest.mark.parametrize(
    "changed",
    [
        {"tenant_id": "borea"},
        {"payload": {"a": 2, "b": [1.5, "é"]}},
        {"payload": {"a": 1, "b": [1.5, "e\u0301"]}},
        {"payload": {"a": "1", "b": [1.5, "é"]}},
        {"payload": {"a": True, "b": [1.5, "é"]}},
        {"idempotency_key": "K"},
        {"tier": "critical"},
    ],
)
def test_every_change_of_the_data_is_found(changed: dict[str, Any]) -> None:
    proof = proof_of(encoded(ENVELOPE), KEY)
    check_proof(proof, encoded(ENVELOPE), KEY)
    with pytest.raises(InvalidToken, match="not of what it says"):
        check_proof(proof, encoded(ENVELOPE | {"data": ENVELOPE["data"] | changed}), KEY)


def test_a_proof_is_of_one_name_only() -> None:
    proof = proof_of(encoded(ENVELOPE), KEY)
    other = ENVELOPE | {"metadata": {"name": "CancelTask", "version": 1}}
    with pytest.raises(InvalidToken):
        check_proof(proof, encoded(other), KEY)


def test_what_channels_route_by_is_not_signed() -> None:
    proof = proof_of(encoded(ENVELOPE), KEY)
    check_proof(proof, encoded(ENVELOPE | {"metadata": ENVELOPE["metadata"] | {"intake": 3}}), KEY)


def test_the_data_that_is_signed_is_the_data_that_is_read() -> None:
    """Said twice, the last one counts for the router too."""
    twice = b'{"metadata":{"name":"SubmitTask","version":1},"data":%s,"data":%s}'
    good = encoded(ENVELOPE["data"])
    evil = encoded(ENVELOPE["data"] | {"tenant_id": "borea"})
    proof = proof_of(encoded(ENVELOPE), KEY)
    for body in (twice % (evil, good), twice % (good, evil)):
        read = msgspec.json.decode(body, type=SubmitTask).data.tenant_id
        try:
            check_proof(proof, body, KEY)
        except InvalidToken:
            assert read == "borea"
        else:
            assert read == "atlas"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"metadata":{"name":"SubmitTask","version":1}}',
        b'{"metadata":{"name":1,"version":1},"data":{}}',
        b'{"metadata":{"name":"SubmitTask","version":1},"data":{"x":NaN}}',
        b'{"metadata":{"name":"SubmitTask","version":1},"data":{"x":1e999}}',
        b'{"metadata":{"name":"SubmitTask","version":1},"data":{"x":"\\ud800"}}',
        b'{"metadata":{"name":"SubmitTask","version":1},"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_what_cannot_be_read_is_not_proven(body: bytes) -> None:
    proof = proof_of(encoded(ENVELOPE), KEY)
    with pytest.raises(InvalidToken, match="cannot be read"):
        check_proof(proof, body, KEY)


def test_each_key_id_tenant_and_ring_key_has_a_secret_of_its_own() -> None:
    ring = KeyRing("k1", {"k0": b"zero", "k1": b"one"})
    made = [
        envelope_key(ring, "abcd1234", "atlas"),
        envelope_key(ring, "abcd1234", "atlas", "k0"),
        envelope_key(ring, "abcd1234", "borea"),
        envelope_key(ring, "abcd1235", "atlas"),
        envelope_key(ring, "abcd1234", None),
    ]
    assert [one.kid for one in made] == ["k1", "k0", "k1", "k1", "k1"]
    assert len({one.secret for one in made}) == len(made)
    with pytest.raises(InvalidToken, match="'k9'"):
        envelope_key(ring, "abcd1234", "atlas", "k9")


def test_a_key_is_kept_as_text_and_does_not_show_itself() -> None:
    assert EnvelopeKey.parse(f" {KEY.text()}\n") == KEY
    assert KEY.secret.hex() not in repr(KEY)


@pytest.mark.parametrize(
    "text", ["", "ple_", KEY.text()[:-1], KEY.text() + "0", KEY.text().replace("ple_", "pl_"), "é"]
)
def test_what_is_no_key_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(InvalidEnvelopeKey) as refused:
        EnvelopeKey.parse(text)
    assert text == "" or text not in str(refused.value) or text == "ple_"


def test_what_a_repeat_would_change_is_named() -> None:
    said = SubmitData(tenant_id="atlas", task_type="echo")
    assert unrepeatable("SubmitTask", said) == "idempotency_key"
    assert unrepeatable("SubmitTask", msgspec.structs.replace(said, idempotency_key="k")) is None
    assert unrepeatable("CancelTask", said) is None
