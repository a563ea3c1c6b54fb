"""Stream tickets: what is signed is what comes back, under any key of the ring, and nothing else does."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.model.errors import InvalidToken
from pushlane.model.jws import signed
from pushlane.model.keyring import KeyRing
from pushlane.model.principal import Principal, Role
from pushlane.model.ticket import TicketClaims, open_ticket, sign_ticket, watcher

NOW_MS = 1_700_000_000_000
RING = KeyRing("k1", {"k0": b"zero", "k1": b"one"})
WHO = Principal(principal_id="key.a", role=Role.PRODUCER, tenant_id="atlas", key_id="a0000000")


def claims(**said: Any) -> TicketClaims:
    return msgspec.structs.replace(TicketClaims(principal=WHO, expires_at_ms=NOW_MS + 1), **said)


def test_it_opens_until_it_expires() -> None:
    made = sign_ticket(claims(stream="t-1"), RING)
    assert open_ticket(made, RING, NOW_MS) == claims(stream="t-1")
    with pytest.raises(InvalidToken, match="expired"):
        open_ticket(made, RING, NOW_MS + 1)


def test_a_watcher_only_watches() -> None:
    found = watcher(claims(stream="t-1"))
    assert (found.by_ticket, found.stream, found.tenant_id, found.role) == (True, "t-1", "atlas", Role.PRODUCER)


def test_keys_of_the_ring_are_replaced() -> None:
    made = sign_ticket(claims(), RING)
    later = KeyRing("k2", {"k1": b"one", "k2": b"two"})
    assert open_ticket(made, later, NOW_MS) == claims()
    with pytest.raises(InvalidToken, match="not in the ring"):
        open_ticket(made, KeyRing("k2", {"k2": b"two"}), NOW_MS)


@pytest.mark.parametrize("said", [{"aud": "pushlane.attempt"}, {"v": 2}, {"stream": "a#b"}])
def test_other_claims(said: dict[str, Any]) -> None:
    with pytest.raises(InvalidToken):
        open_ticket(sign_ticket(claims(**said), RING), RING, NOW_MS)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"[" * 900, b'{"principal":{"role":"king"}}', b"\xff"])
def test_bodies_that_are_no_ticket(body: bytes) -> None:
    with pytest.raises(InvalidToken, match="malformed"):
        open_ticket(signed(body, RING), RING, NOW_MS)


@given(place=st.integers(min_value=0), character=st.sampled_from("ABab09-_.="))
def test_a_changed_one_opens_nothing(place: int, character: str) -> None:
    made = sign_ticket(claims(), RING)
    place %= len(made)
    changed = made[:place] + character + made[place + 1 :]
    if changed == made:
        return
    with pytest.raises(InvalidToken):
        open_ticket(changed, RING, NOW_MS)


@given(st.text(max_size=300))
def test_any_text(text: str) -> None:
    with pytest.raises(InvalidToken):
        open_ticket(text, RING, NOW_MS)
