"""The ring of signing keys: what a secret may be, and what happens at a kid that is not known."""

import json

import pytest

from pushlane.model.errors import InvalidToken
from pushlane.model.keyring import InvalidKeyRing, KeyRing, ring_of, stored_ring_of


@pytest.mark.parametrize("secret", [b"plain text", b"\x00\xff", b'["no", "object"]', b'"text"', b"{x7)Q"])
def test_a_secret_that_is_no_ring_is_the_first_key(secret: bytes) -> None:
    ring = ring_of(secret)
    assert ring.signing() == ("k0", secret)
    assert ring.key("k0") == secret


def test_a_ring_signs_with_its_current_key_and_knows_the_others() -> None:
    ring = ring_of(json.dumps({"current": "k2", "keys": {"k1": "one", "k2": "two"}, "rotated_at_ms": 5}).encode())
    assert ring.signing() == ("k2", b"two")
    assert (ring.key("k1"), ring.key("k2")) == (b"one", b"two")
    with pytest.raises(InvalidToken, match="'k0'"):
        ring.key("k0")


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("", "no key 'k0'"),
        ("{", "no ring of keys"),
        ('{"keys": {"k1": "one"}}', "current"),
        ('{"current": "k1"}', "keys"),
        ('{"current": "k1", "keys": {}}', "no key 'k1'"),
        ('{"current": "k2", "keys": {"k1": "one"}}', "no key 'k2'"),
        ('{"current": "k1", "keys": {"k1": ""}}', "no key 'k1'"),
        ('{"current": "k1", "keys": {"k1": "one", "k0": ""}}', r"\['k0'\]"),
        ('{"current": "k1", "keys": {"k1": "one", "": "two"}}', r"\[''\]"),
        ('{"current": "k1", "keys": {"k1": 1}}', "str"),
    ],
)
def test_a_ring_that_cannot_sign_is_refused_with_its_reason(secret: str, reason: str) -> None:
    with pytest.raises(InvalidKeyRing, match=reason):
        stored_ring_of(secret)
    with pytest.raises(InvalidKeyRing):
        ring_of(secret.encode())


def test_an_unknown_kid_is_looked_for_in_the_ring_as_it_is_by_now() -> None:
    looks: list[None] = []

    def renewed() -> KeyRing:
        looks.append(None)
        return KeyRing("k1", {"k0": b"zero", "k1": b"one"})

    ring = KeyRing("k0", {"k0": b"zero"}, renewed)
    assert (ring.key("k0"), len(looks)) == (b"zero", 0)
    assert (ring.key("k1"), len(looks)) == (b"one", 1)
    with pytest.raises(InvalidToken, match="'k9'"):
        ring.key("k9")


def test_a_refusal_does_not_repeat_a_long_kid() -> None:
    with pytest.raises(InvalidToken) as refused:
        ring_of(b"x").key("k" * 10_000)
    assert len(str(refused.value)) < 120
