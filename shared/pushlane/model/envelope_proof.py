"""Signed envelopes: on doors where nobody sees the caller, a proof in the metadata binds the tenant.

The proof is an HMAC-SHA256 over the canonical JSON of what the envelope says: `{"data": ..., "name": ..., "version":
...}`, keys sorted by code point, no white space, numbers that are whole written as integers. Channels that write the
JSON anew (EventBridge) leave that as it is. The rest of the metadata only routes, and is not signed.

The key comes from the ring, the access key's id and its tenant, so nothing secret is stored; its text is
`ple_<key_id>_<kid>_<secret as 64 hex digits>`.
"""

import hashlib
import hmac
import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from pushlane.model.access_key import KeyId
from pushlane.model.derived_secrets import derived_secret
from pushlane.model.errors import InvalidToken, PushlaneError
from pushlane.model.keyring import KID_PATTERN, KeyRing

ENVELOPE: Final = "envelope"
# A signed envelope that is heard twice has to be the same thing twice: what makes it so must be said, and is signed.
# Keyed submissions are the same task, a signal the same signal; an order about a death names the attempt.
REPEATED_AS: Final[Mapping[str, str]] = {
    "SubmitTask": "idempotency_key",
    "SubmitWorkflow": "idempotency_key",
    "SignalTask": "signal_id",
    "RedriveTask": "epoch",
    "DiscardTask": "epoch",
    "AgentHeartbeat": "sent_at_ms",
}
_WHOLE_MAX: Final = 2**53
_TEXT: Final = re.compile(
    r"ple_(?P<key_id>[a-z0-9]{8,32})_(?P<kid>[A-Za-z0-9-]{1,32})_(?P<secret>[0-9a-f]{64})", re.ASCII
)


class InvalidEnvelopeKey(PushlaneError):
    """A text that is no envelope key; the message never repeats it."""


class Proof(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who signed the envelope: the access key, the key of the ring that its secret comes from, and the HMAC in hex."""

    key_id: KeyId
    kid: Annotated[str, Meta(pattern=KID_PATTERN)]
    mac: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}(?!\n)$")]


class EnvelopeKey(Struct, frozen=True):
    """What a producer signs with. Its `repr` says no secret."""

    key_id: str
    kid: str
    secret: bytes

    def __repr__(self) -> str:
        return f"EnvelopeKey({self.key_id!r}, {self.kid!r})"

    def text(self) -> str:
        """The key as its holder keeps it."""
        return f"ple_{self.key_id}_{self.kid}_{self.secret.hex()}"

    @classmethod
    def parse(cls, text: str) -> "EnvelopeKey":
        """From the text that `pushlane keys create` showed; raises `InvalidEnvelopeKey`."""
        found = _TEXT.fullmatch(text.strip())
        if found is None:
            raise InvalidEnvelopeKey("not an envelope key: it has the form ple_<key id>_<kid>_<64 hex digits>")
        return cls(found["key_id"], found["kid"], bytes.fromhex(found["secret"]))


def envelope_key(ring: KeyRing, key_id: str, tenant_id: str | None, kid: str | None = None) -> EnvelopeKey:
    """The secret of an access key of kind `envelope`, under the key `kid` of the ring (the current one when None).
    Raises `InvalidToken` when the ring has no such key. `tenant_id` None: a key of the installation.
    """
    name, key = ring.signing() if kid is None else (kid, ring.key(kid))
    return EnvelopeKey(key_id, name, derived_secret(key, ENVELOPE, key_id, tenant_id or ""))


class _Signed(Struct):
    name: str
    version: int
    data: Any


class _Metadata(Struct):
    name: str
    version: int


class _Envelope(Struct):
    metadata: _Metadata
    data: Any


def _number(literal: str) -> int | float:
    """1.0 and 1e0 are the number 1, however a channel writes it."""
    value = float(literal)
    if not math.isfinite(value):
        raise ValueError(f"{literal[:32]} is no number that JSON readers agree on")
    return int(value) if value.is_integer() and abs(value) < _WHOLE_MAX else value


_decoder: Final = msgspec.json.Decoder(_Envelope, float_hook=_number)


def canonical(envelope: bytes) -> bytes:
    """What of an encoded envelope is signed; raises `InvalidToken` for what is none."""
    try:
        said = _decoder.decode(envelope)
        signed = _Signed(said.metadata.name, said.metadata.version, said.data)
        return msgspec.json.encode(signed, order="sorted")
    except (msgspec.DecodeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidToken(f"envelope: cannot be read as JSON ({error})") from error


def proof_of(envelope: bytes, key: EnvelopeKey) -> Proof:
    """The proof of an encoded envelope under `key`."""
    return Proof(key_id=key.key_id, kid=key.kid, mac=_mac(key.secret, envelope))


def signed_envelope(envelope: bytes, key: EnvelopeKey) -> bytes:
    """The encoded envelope with its proof in the metadata; raises `InvalidToken` for what is no envelope."""
    proof = proof_of(envelope, key)
    said = msgspec.json.decode(envelope)
    said["metadata"]["proof"] = msgspec.to_builtins(proof)
    return msgspec.json.encode(said)


def check_proof(proof: Proof, envelope: bytes, key: EnvelopeKey) -> None:
    """Raises `InvalidToken` unless the holder of `key` signed what the envelope says (compared in constant time)."""
    if not hmac.compare_digest(proof.mac.encode(), _mac(key.secret, envelope).encode()):
        raise InvalidToken("envelope: the proof is not of what it says")


def unrepeatable(name: str, data: object) -> str | None:
    """The field that a signed envelope of this name lacks, so that a repeat would be something new; None if none."""
    field = REPEATED_AS.get(name)
    return field if field is not None and getattr(data, field, None) is None else None


def _mac(secret: bytes, envelope: bytes) -> str:
    return hmac.new(secret, canonical(envelope), hashlib.sha256).hexdigest()
