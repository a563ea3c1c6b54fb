"""Standard Webhooks: a delivery is signed with its id and its time, under one secret or, during a rotation, several.

The form is https://github.com/standard-webhooks/standard-webhooks (version 1, symmetric): HMAC-SHA256 over
`<id>.<timestamp>.<body>`, in base64 behind `v1,`. Written with the standard library, as tokens are.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pushlane.model.errors import PushlaneError

ID_HEADER: Final = "webhook-id"
TIMESTAMP_HEADER: Final = "webhook-timestamp"
SIGNATURE_HEADER: Final = "webhook-signature"
TOLERANCE_SECONDS: Final = 300
SECRET_PREFIX: Final = "whsec_"
SECRET_BYTES: Final = range(16, 129)
# So many signatures in one header are looked at: a rotation needs two.
_SIGNATURES_MAX: Final = 16
_ID: Final = re.compile(r"[\x21-\x7e]{1,256}")
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}", re.ASCII)


class InvalidSecret(PushlaneError):
    """A text is no secret of this form; the message says what is."""


class InvalidSignature(PushlaneError):
    """A delivery is not proven to be its sender's, or not recent. `code`: `header`, `timestamp` or `signature`."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def secret_of(text: str) -> bytes:
    """The bytes of a secret written as `whsec_<base64>` (the prefix may be missing); raises `InvalidSecret`."""
    try:
        secret = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidSecret(f"a secret is {SECRET_PREFIX} and base64") from error
    if len(secret) not in SECRET_BYTES:
        raise InvalidSecret(f"a secret has 16-128 bytes, this one {len(secret)}")
    return secret


def signature_headers(secrets: Sequence[bytes], message_id: str, sent_at_seconds: int, body: bytes) -> dict[str, str]:
    """The three headers of a delivery, with one signature for each secret (at least one)."""
    signatures = " ".join(_signature(secret, message_id, str(sent_at_seconds), body) for secret in secrets)
    return {ID_HEADER: message_id, TIMESTAMP_HEADER: str(sent_at_seconds), SIGNATURE_HEADER: signatures}


def verified_id(
    secrets: Iterable[bytes],
    headers: Mapping[str, str],
    body: bytes,
    now_seconds: int,
    tolerance_seconds: int = TOLERANCE_SECONDS,
) -> str:
    """The id of a delivery that one of `secrets` signed, not longer ago or ahead than the tolerance.

    `headers` by lower-case name. Every secret is compared with every signature in constant time. Raises
    `InvalidSignature`.
    """
    message_id, timestamp = headers.get(ID_HEADER, ""), headers.get(TIMESTAMP_HEADER, "")
    if not _ID.fullmatch(message_id) or not _TIMESTAMP.fullmatch(timestamp):
        raise InvalidSignature("header", f"{ID_HEADER} and {TIMESTAMP_HEADER} are needed, the time in whole seconds")
    given = headers.get(SIGNATURE_HEADER, "").split(" ")[:_SIGNATURES_MAX]
    wanted = [_signature(secret, message_id, timestamp, body) for secret in secrets]
    matches = [hmac.compare_digest(one.encode(), other.encode()) for one in wanted for other in given]
    if not any(matches):
        raise InvalidSignature("signature", f"no signature in {SIGNATURE_HEADER} is by a secret known here")
    require_recent(int(timestamp), now_seconds, tolerance_seconds)
    return message_id


def require_recent(timestamp_seconds: int, now_seconds: int, tolerance_seconds: int) -> None:
    """Raises `InvalidSignature` for a time further off than the tolerance, in either direction."""
    if abs(now_seconds - timestamp_seconds) > tolerance_seconds:
        raise InvalidSignature("timestamp", f"signed more than {tolerance_seconds} s before or after now")


def _signature(secret: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
