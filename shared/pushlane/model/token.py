"""Reservation token: the signed proof that an attempt holds its reservation.

The form is a compact JWS (`pushlane.model.jws`). The header's `kid` names the key of the ring. Version 2, which had
none, is read under the first key: attempts that are under way have such tokens.
"""

from typing import Final

import msgspec
from msgspec import Struct

from pushlane.model.attempt import Reservation
from pushlane.model.errors import InvalidToken
from pushlane.model.jws import opened, signed
from pushlane.model.keyring import KeyRing

VERSION: Final = 3
_VERSION_WITHOUT_KID: Final = 2
_AUDIENCE: Final = "pushlane.attempt"


class ReservationClaims(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the token proves: tenant, task, epoch, everything it holds, and until when the proof itself is good."""

    tenant_id: str
    task_id: str
    epoch: int
    pool: str
    reservation: Reservation
    expires_at_ms: int
    v: int = VERSION
    aud: str = _AUDIENCE

    @property
    def agent_id(self) -> str:
        return self.reservation.agent_id


_claims_decoder: Final = msgspec.json.Decoder(ReservationClaims)


def sign(claims: ReservationClaims, ring: KeyRing) -> str:
    """The token for `claims` under the ring's current key."""
    return signed(msgspec.json.encode(claims), ring)


def verify(token: str, ring: KeyRing, now_ms: int) -> ReservationClaims:
    """The claims of an authentic token; raises `InvalidToken` (constant-time comparison of the signature)."""
    kid, body = opened(token, ring, "reservation token")
    try:
        claims = _claims_decoder.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise InvalidToken(f"reservation token: malformed ({error})") from error
    if claims.aud != _AUDIENCE or claims.v != (_VERSION_WITHOUT_KID if kid is None else VERSION):
        raise InvalidToken("reservation token: for another audience or of another version")
    if claims.expires_at_ms < now_ms:
        raise InvalidToken("reservation token: expired")
    return claims
