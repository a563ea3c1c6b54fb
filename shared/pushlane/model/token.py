"""Reservation token: the signed proof that an attempt holds its reservation.

The form is a compact JWS with HS256 (RFC 7515), so any JOSE library can check it; written with the standard library
because importing one costs a Lambda's cold start more than these lines.
"""

import base64
import binascii
import hashlib
import hmac
from typing import Final

import msgspec
from msgspec import Struct

from pushlane.model.attempt import Reservation
from pushlane.model.errors import InvalidToken

VERSION: Final = 2
_AUDIENCE: Final = "pushlane.attempt"
_HEADER: Final = b'{"alg":"HS256","typ":"JWT"}'


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


def sign(claims: ReservationClaims, key: bytes) -> str:
    """The token for `claims` under `key`."""
    signing_input = f"{_encode(_HEADER)}.{_encode(msgspec.json.encode(claims))}"
    return f"{signing_input}.{_encode(_mac(signing_input, key))}"


def verify(token: str, key: bytes, now_ms: int) -> ReservationClaims:
    """The claims of an authentic token; raises `InvalidToken` (constant-time comparison of the signature)."""
    signing_input, _, signature = token.rpartition(".")
    header, _, body = signing_input.partition(".")
    try:
        # Compared as text: base64 has several spellings of the same bytes, and only ours is accepted.
        if not hmac.compare_digest(signature.encode(), _encode(_mac(signing_input, key)).encode()):
            raise InvalidToken("reservation token: signature does not match")
        if msgspec.json.decode(_decode(header)).get("alg") != "HS256":
            raise InvalidToken("reservation token: algorithm is not HS256")
        claims = msgspec.json.decode(_decode(body), type=ReservationClaims)
    except (binascii.Error, msgspec.DecodeError, ValueError) as error:
        raise InvalidToken(f"reservation token: malformed ({error})") from error
    if claims.aud != _AUDIENCE or claims.v != VERSION:
        raise InvalidToken("reservation token: for another audience or of another version")
    if claims.expires_at_ms < now_ms:
        raise InvalidToken("reservation token: expired")
    return claims


def _mac(signing_input: str, key: bytes) -> bytes:
    return hmac.new(key, signing_input.encode(), hashlib.sha256).digest()


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
