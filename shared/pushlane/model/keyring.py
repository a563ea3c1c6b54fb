"""The ring of signing keys: one signs, all of them verify, so that keys can be replaced while what they signed lives.

Reservation tokens, facts on their way to the streamer, tickets, envelopes and callbacks are signed under keys of this
one ring, each for a purpose of its own. The `kid` beside a signature names the key.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from pushlane.model.errors import InvalidToken, PushlaneError

# How an object begins, and a generated secret hardly ever does, although its first character may be a brace.
_OBJECT: Final = re.compile(r'\s*\{\s*("|\}|$)')
# What was signed before there were rings carries no kid, and a secret that is no ring is this key.
FIRST_KID: Final = "k0"
KID_CHARACTERS_MAX: Final = 32
KID_PATTERN: Final = r"^[A-Za-z0-9-]{1,32}(?!\n)$"
_KID: Final = re.compile(KID_PATTERN)


class InvalidKeyRing(PushlaneError):
    """The signing secret is neither plain text nor a ring of keys; the message says what is wrong with it."""


class StoredRing(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The signing secret as JSON. The bytes of a key are its text's. `rotated_at_ms`: when `current` was made."""

    current: str
    keys: dict[str, str]
    rotated_at_ms: int | None = None


class KeyRing(Struct, frozen=True):
    """`keys` by kid, at least the `current` one. `renewed` answers with the ring as it is stored by now, or with this
    one where that was looked at a moment ago.
    """

    current: str
    keys: Mapping[str, bytes]
    renewed: "Callable[[], KeyRing] | None" = None

    def signing(self) -> tuple[str, bytes]:
        """The kid and the key to sign with."""
        return self.current, self.keys[self.current]

    def key(self, kid: str) -> bytes:
        """The key of this kid; raises `InvalidToken` when it is not (or no more) in the ring."""
        found = self.keys.get(kid)
        if found is None and self.renewed is not None:
            found = self.renewed().keys.get(kid)
        if found is None:
            raise InvalidToken(f"signed under key {kid[:KID_CHARACTERS_MAX]!r}, which is not in the ring")
        return found


def ring_of(secret: bytes) -> KeyRing:
    """The ring in a signing secret: plain text is the one key `k0`. Raises `InvalidKeyRing`."""
    try:
        stored = stored_ring_of(secret.decode())
    except UnicodeDecodeError:
        return KeyRing(FIRST_KID, {FIRST_KID: secret})
    return KeyRing(stored.current, {kid: key.encode() for kid, key in stored.keys.items()})


def stored_ring_of(text: str) -> StoredRing:
    """The ring in a signing secret of text; raises `InvalidKeyRing`."""
    if not _OBJECT.match(text):
        stored = StoredRing(current=FIRST_KID, keys={FIRST_KID: text})
    else:
        try:
            stored = msgspec.json.decode(text, type=StoredRing)
        except msgspec.DecodeError as error:
            raise InvalidKeyRing(f"the signing secret is no ring of keys: {error}") from error
    if not stored.keys.get(stored.current):
        raise InvalidKeyRing(f"the signing secret has no key {stored.current[:KID_CHARACTERS_MAX]!r} to sign with")
    if unusable := sorted(kid for kid, key in stored.keys.items() if not key or not _KID.match(kid)):
        raise InvalidKeyRing(f"the signing secret has keys that are empty or have no usable kid: {unusable}")
    return stored
