"""JSON Web Tokens of trusted issuers to principals.

What a token says of itself is read strictly, with bounds, and believed in nothing but where to look: the issuer has to
be a trusted one, its key is found by the token's kid, and the algorithm has to be the issuer's and fit that key. So
neither `none` nor a public key used as the secret of HS256 gets anywhere. PyJWT is imported when the first one comes.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.api.jwks import KeySets, PublicKey
from pushlane.api.refusals import CredentialRefused, RefusalCode
from pushlane.model.issuer import Algorithm, Issuer, principal_of
from pushlane.model.principal import InvalidPrincipal, Principal

CHARACTERS_MAX: Final = 8_192
LEEWAY_SECONDS: Final = 30
# Key type and curve that an algorithm takes.
_KEY_TYPES: Final[Mapping[Algorithm, tuple[str, str | None]]] = {
    Algorithm.RS256: ("RSA", None),
    Algorithm.ES256: ("EC", "P-256"),
    Algorithm.EDDSA: ("OKP", "Ed25519"),
}


class _Header(Struct, frozen=True):
    alg: str
    kid: str


class _Claims(Struct, frozen=True):
    iss: str


_header_decoder: Final = msgspec.json.Decoder(_Header)
_claims_decoder: Final = msgspec.json.Decoder(_Claims)


class Tokens:
    """Verifies tokens. `issuer_of`: the trusted issuer that calls itself so."""

    def __init__(self, issuer_of: Callable[[str], Issuer | None], key_sets: KeySets) -> None:
        self._issuer_of = issuer_of
        self._key_sets = key_sets

    def principal(self, token: str, now_ms: int) -> Principal:
        """Whoever the token stands for; raises `CredentialRefused`, and `KeysUnavailable` when that cannot be said."""
        header, claims = _unverified(token)
        issuer = self._issuer_of(claims.iss)
        if issuer is None:
            raise CredentialRefused(RefusalCode.UNKNOWN, "no trusted issuer of this name")
        algorithm = next((one for one in issuer.algorithms if one.value == header.alg), None)
        if algorithm is None:
            raise CredentialRefused(RefusalCode.INVALID, "signed with an algorithm that the issuer does not use")
        key = self._key_sets.key(issuer.jwks_url, header.kid)
        if key is None or not _fits(key, algorithm):
            raise CredentialRefused(RefusalCode.INVALID, "the issuer has no such key for this algorithm")
        verified = _verified(token, issuer, algorithm, key, now_ms)
        try:
            return principal_of(issuer, verified)
        except InvalidPrincipal as error:
            raise CredentialRefused(RefusalCode.FOREIGN, str(error)) from error


def _fits(key: PublicKey, algorithm: Algorithm) -> bool:
    meant = key.get("use", "sig") == "sig" and key.get("alg", algorithm.value) == algorithm.value
    return meant and (key.get("kty"), key.get("crv")) == _KEY_TYPES[algorithm]


def _unverified(token: str) -> tuple[_Header, _Claims]:
    parts = token.split(".")
    if len(parts) != 3 or len(token) > CHARACTERS_MAX:
        raise CredentialRefused(RefusalCode.MALFORMED, "no JSON Web Token")
    try:
        return _header_decoder.decode(_decode(parts[0])), _claims_decoder.decode(_decode(parts[1]))
    except (binascii.Error, msgspec.DecodeError, ValueError, RecursionError) as error:
        raise CredentialRefused(RefusalCode.MALFORMED, f"no JSON Web Token: {error}") from error


def _verified(token: str, issuer: Issuer, algorithm: Algorithm, key: PublicKey, now_ms: int) -> dict[str, Any]:
    import jwt
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            jwt.PyJWK(dict(key), algorithm.value),
            algorithms=[algorithm.value],
            audience=issuer.audience,
            issuer=issuer.issuer,
            # The times are checked below, by our clock.
            options={
                "require": ["exp", "iss", "aud", "sub"],
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
        _check_times(claims, now_ms)
    # All but the first: a key in the issuer's document that is none of its kind.
    except (jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError) as error:
        raise CredentialRefused(RefusalCode.INVALID, f"token: {error}") from error
    return claims


def _check_times(claims: dict[str, Any], now_ms: int) -> None:
    now_s = now_ms / 1_000
    for name in ("exp", "nbf"):
        said = claims.get(name)
        if said is not None and (isinstance(said, bool) or not isinstance(said, int | float)):
            raise CredentialRefused(RefusalCode.INVALID, f"token: {name} is no number")
    # Written so that a NaN is refused too.
    if not claims["exp"] > now_s - LEEWAY_SECONDS:
        raise CredentialRefused(RefusalCode.EXPIRED, "token: expired")
    if not claims.get("nbf", now_s) <= now_s + LEEWAY_SECONDS:
        raise CredentialRefused(RefusalCode.INVALID, "token: not valid yet")


def _decode(text: str) -> bytes:
    return base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
