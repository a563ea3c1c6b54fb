"""Compact JWS with HS256 (RFC 7515) under a key of the ring, so that any JOSE library can check it.

Written with the standard library, because importing a library costs a Lambda's cold start more than these lines.
"""

import base64
import binascii
import hashlib
import hmac
from typing import Final

import msgspec
from msgspec import Struct

from pushlane.model.errors import InvalidToken
from pushlane.model.keyring import FIRST_KID, KeyRing

_ALGORITHM: Final = "HS256"


class _Header(Struct, frozen=True, omit_defaults=True):
    alg: str = ""
    kid: str | None = None
    typ: str = ""


_header_decoder: Final = msgspec.json.Decoder(_Header)


def signed(body: bytes, ring: KeyRing) -> str:
    """The body, signed under the ring's current key; the header's `kid` names it."""
    kid, key = ring.signing()
    header = msgspec.json.encode(_Header(_ALGORITHM, kid, "JWT"))
    signing_input = f"{_encode(header)}.{_encode(body)}"
    return f"{signing_input}.{_encode(_mac(signing_input, key))}"


def opened(token: str, ring: KeyRing, what: str) -> tuple[str | None, bytes]:
    """The kid (None where there is none: then the first key of all) and the body of an authentic token.

    Raises `InvalidToken`, which names `what` it is; the signature is compared in constant time.
    """
    signing_input, _, signature = token.rpartition(".")
    encoded_header, _, encoded_body = signing_input.partition(".")
    try:
        header = _header_decoder.decode(_decode(encoded_header))
        key = ring.key(FIRST_KID if header.kid is None else header.kid)
        # Compared as text: base64 has several spellings of the same bytes, and only ours is accepted.
        if not hmac.compare_digest(signature.encode(), _encode(_mac(signing_input, key)).encode()):
            raise InvalidToken(f"{what}: signature does not match")
        if header.alg != _ALGORITHM:
            raise InvalidToken(f"{what}: algorithm is not HS256")
        return header.kid, _decode(encoded_body)
    except (binascii.Error, msgspec.DecodeError, ValueError, RecursionError) as error:
        raise InvalidToken(f"{what}: malformed ({error})") from error


def _mac(signing_input: str, key: bytes) -> bytes:
    return hmac.new(key, signing_input.encode(), hashlib.sha256).digest()


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
