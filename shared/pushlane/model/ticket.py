"""Stream ticket: what a browser's EventSource or WebSocket carries as `?ticket=`, because it cannot set headers.

It is signed, lasts for an hour by default, and lets its bearer watch: the one stream that it names, or what its
principal may see. It is worth no more than the credential that it was made with, and ends with that one's revocation.
"""

from typing import Final

import msgspec
from msgspec import Struct

from pushlane.model.errors import InvalidToken
from pushlane.model.ids import Identifier
from pushlane.model.jws import opened, signed
from pushlane.model.keyring import KeyRing
from pushlane.model.principal import Principal

VERSION: Final = 1
LIFE_SECONDS: Final = 3_600
LIFE_SECONDS_MAX: Final = 12 * 3_600
CHARACTERS_MAX: Final = 2_048
_AUDIENCE: Final = "pushlane.stream"
_WHAT: Final = "stream ticket"


class TicketClaims(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who watches, until when, and which stream (None: any that the principal may see)."""

    principal: Principal
    expires_at_ms: int
    stream: Identifier | None = None
    v: int = VERSION
    aud: str = _AUDIENCE


_claims_decoder: Final = msgspec.json.Decoder(TicketClaims)


def sign_ticket(claims: TicketClaims, ring: KeyRing) -> str:
    """The ticket for `claims` under the ring's current key."""
    return signed(msgspec.json.encode(claims), ring)


def open_ticket(ticket: str, ring: KeyRing, now_ms: int) -> TicketClaims:
    """The claims of an authentic ticket that has not expired; raises `InvalidToken`."""
    if len(ticket) > CHARACTERS_MAX:
        raise InvalidToken(f"{_WHAT}: longer than any")
    _, body = opened(ticket, ring, _WHAT)
    try:
        claims = _claims_decoder.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidToken(f"{_WHAT}: malformed ({error})") from error
    if claims.aud != _AUDIENCE or claims.v != VERSION:
        raise InvalidToken(f"{_WHAT}: for another audience or of another version")
    if claims.expires_at_ms <= now_ms:
        raise InvalidToken(f"{_WHAT}: expired")
    return claims


def watcher(claims: TicketClaims) -> Principal:
    """The principal as the ticket lets it in."""
    return msgspec.structs.replace(claims.principal, by_ticket=True, stream=claims.stream)
