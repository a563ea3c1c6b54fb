"""The reservation token: what we signed is read back, and nothing else is."""

import base64
import hashlib
import hmac
import json
import string
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.model.attempt import Hold
from pushlane.model.errors import InvalidToken
from pushlane.model.keyring import KeyRing, ring_of
from pushlane.model.token import ReservationClaims, sign, verify
from tests.unit.values import a_reservation

KEY = b"k" * 32
RING = ring_of(KEY)
NOW = 1_700_000_000_000
RESERVATION = a_reservation(tokens=9, charged=True, holds=(Hold("llm-tpm", 5, 2), Hold("browsers", 1, slots=True)))
CLAIMS = ReservationClaims(
    tenant_id="atlas", task_id="t-1", epoch=3, pool="default", reservation=RESERVATION, expires_at_ms=NOW
)
TOKEN = sign(CLAIMS, RING)
BODY: dict[str, Any] = {
    "tenant_id": "atlas",
    "task_id": "t-1",
    "epoch": 3,
    "pool": "default",
    "reservation": {
        "agent_id": "one",
        "agent_pool": "default",
        "tenant_id": "atlas",
        "tier": "normal",
        "reserved_at_ms": NOW - 40_000,
        "cost_ms": 30_000,
        "tokens": 9,
        "charged": True,
        "holds": [["llm-tpm", 5, 2, False], ["browsers", 1, 0, True]],
    },
    "expires_at_ms": NOW,
    "v": 3,
    "aud": "pushlane.attempt",
}


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(header: object, body: object) -> str:
    """A token of any content under the right key, made without the module under test."""
    signing_input = f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(body).encode())}"
    return f"{signing_input}.{encoded(hmac.new(KEY, signing_input.encode(), hashlib.sha256).digest())}"


def test_what_was_signed_is_read_back() -> None:
    assert verify(TOKEN, RING, NOW) == CLAIMS


def test_it_is_a_plain_jws_that_any_library_could_have_made() -> None:
    assert verify(signed({"alg": "HS256", "kid": "k0", "typ": "JWT"}, BODY), RING, NOW) == CLAIMS
    header, body, signature = TOKEN.split(".")
    assert json.loads(base64.urlsafe_b64decode(header + "==")) == {"alg": "HS256", "kid": "k0", "typ": "JWT"}
    assert json.loads(base64.urlsafe_b64decode(body + "==")) == BODY
    mac = hmac.new(KEY, f"{header}.{body}".encode(), hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(signature + "=") == mac


def test_every_change_of_a_single_character_is_refused() -> None:
    alphabet = string.ascii_letters + string.digits + "-_.=+/ \n\x00é"
    changed = [
        TOKEN[:place] + other + TOKEN[place + 1 :]
        for place, character in enumerate(TOKEN)
        for other in alphabet
        if other != character
    ]
    assert len(changed) > 15_000
    for token in changed:
        with pytest.raises(InvalidToken):
            verify(token, RING, NOW)


@pytest.mark.parametrize("place", range(0, len(TOKEN) + 1, 13))
@pytest.mark.parametrize("more", ["", "=", "A", ".", "\n"])
def test_a_shorter_or_longer_token_is_refused(place: int, more: str) -> None:
    for token in (TOKEN[:place] + TOKEN[place + 1 :], TOKEN[:place] + more + TOKEN[place:]):
        if token != TOKEN:
            with pytest.raises(InvalidToken):
                verify(token, RING, NOW)


def test_another_key_is_refused() -> None:
    with pytest.raises(InvalidToken, match="signature"):
        verify(TOKEN, ring_of(b"K" * 32), NOW)


def test_it_holds_to_the_very_millisecond_of_its_expiry_and_not_beyond() -> None:
    assert verify(TOKEN, RING, CLAIMS.expires_at_ms) == CLAIMS
    with pytest.raises(InvalidToken, match="expired"):
        verify(TOKEN, RING, CLAIMS.expires_at_ms + 1)


@pytest.mark.parametrize(
    ("header", "body", "reason"),
    [
        ({"alg": "none"}, BODY, "algorithm"),
        ({"alg": "HS512"}, BODY, "algorithm"),
        ({"typ": "JWT"}, BODY, "algorithm"),
        ({"alg": "HS256", "kid": "k0"}, BODY | {"aud": "another"}, "audience"),
        ({"alg": "HS256", "kid": "k0"}, BODY | {"v": 1}, "version"),
        ({"alg": "HS256", "kid": "k0"}, BODY | {"v": 2}, "version"),
        ({"alg": "HS256"}, BODY, "version"),
        ({"alg": "HS256", "kid": "k1"}, BODY, "'k1', which is not in the ring"),
        ({"alg": "HS256", "kid": 0}, BODY, "malformed"),
        ([], BODY, "malformed"),
        ({"alg": "HS256"}, BODY | {"admin": True}, "malformed"),
        ({"alg": "HS256"}, BODY | {"epoch": "3"}, "malformed"),
        ({"alg": "HS256"}, BODY | {"reservation": {"agent_id": "one"}}, "malformed"),
        ({"alg": "HS256"}, BODY | {"reservation": "one"}, "malformed"),
        ({"alg": "HS256"}, {}, "malformed"),
        ({"alg": "HS256"}, [], "malformed"),
    ],
)
def test_the_right_key_does_not_make_up_for_the_wrong_content(header: object, body: object, reason: str) -> None:
    with pytest.raises(InvalidToken, match=reason):
        verify(signed(header, body), RING, NOW)


def test_an_unsigned_token_is_refused() -> None:
    header, body = encoded(b'{"alg":"none"}'), encoded(json.dumps(BODY).encode())
    for token in (f"{header}.{body}.", f"{header}.{body}", f"{header}.{body}.{encoded(b'')}"):
        with pytest.raises(InvalidToken):
            verify(token, RING, NOW)


@given(st.text(st.characters(exclude_categories=()), max_size=300))
def test_garbage_raises_nothing_but_invalid_token(text: str) -> None:
    with pytest.raises(InvalidToken):
        verify(text, RING, NOW)


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=5))
def test_garbage_in_the_form_of_a_token_raises_nothing_but_invalid_token(parts: list[bytes]) -> None:
    with pytest.raises(InvalidToken):
        verify(".".join(encoded(part) for part in parts), RING, NOW)


def test_a_token_of_the_version_before_kids_is_read_under_the_first_key() -> None:
    old = signed({"alg": "HS256", "typ": "JWT"}, BODY | {"v": 2})
    ring = KeyRing("k1", {"k0": KEY, "k1": b"n" * 32})
    assert verify(old, ring, NOW) == msgspec.structs.replace(CLAIMS, v=2)
    with pytest.raises(InvalidToken, match="'k0', which is not in the ring"):
        verify(old, KeyRing("k1", {"k1": KEY}), NOW)


def test_after_a_rotation_old_tokens_hold_until_their_key_leaves_the_ring() -> None:
    rotated = KeyRing("k1", {"k0": KEY, "k1": b"n" * 32})
    assert verify(TOKEN, rotated, NOW) == CLAIMS
    new = sign(CLAIMS, rotated)
    assert verify(new, rotated, NOW) == CLAIMS
    with pytest.raises(InvalidToken, match="'k1', which is not in the ring"):
        verify(new, RING, NOW)
    with pytest.raises(InvalidToken, match="'k0', which is not in the ring"):
        verify(TOKEN, KeyRing("k1", {"k1": b"n" * 32}), NOW)


def test_the_kid_cannot_be_exchanged_for_another_keys() -> None:
    _, body, signature = TOKEN.split(".")
    header = encoded(b'{"alg":"HS256","kid":"k1","typ":"JWT"}')
    with pytest.raises(InvalidToken, match="signature"):
        verify(f"{header}.{body}.{signature}", KeyRing("k0", {"k0": KEY, "k1": b"n" * 32}), NOW)


def test_a_header_that_nests_without_end_is_refused() -> None:
    header = encoded(b'{"alg":"HS256","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    with pytest.raises(InvalidToken, match="malformed"):
        verify(f"{header}.{encoded(json.dumps(BODY).encode())}.x", RING, NOW)
