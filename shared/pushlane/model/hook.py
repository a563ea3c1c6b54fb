"""Inbound webhooks: who may send one, by which proof, and which task it becomes.

A hook belongs to one tenant. What it is sent is verified by the provider's scheme, and the scheme also says by what a
repeated delivery is recognised: only by something that is signed.
"""

import base64
import hashlib
import hmac
from enum import StrEnum
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from pushlane.model.derived_secrets import HOOK, derived_secret, secret_text
from pushlane.model.errors import InvalidEvent, InvalidToken
from pushlane.model.ids import Identifier
from pushlane.model.keyring import KeyRing
from pushlane.model.webhook_signature import (
    TOLERANCE_SECONDS,
    InvalidSecret,
    InvalidSignature,
    require_recent,
    secret_of,
    verified_id,
)

BODY_BYTES_MAX: Final = 256 * 1024
EXPRESSION_CHARACTERS_MAX: Final = 1_024
GITHUB_HEADER: Final = "x-hub-signature-256"
_GITHUB_PREFIX: Final = "sha256="
_TIMESTAMP_DIGITS_MAX: Final = 12

Expression = Annotated[str, Meta(min_length=1, max_length=EXPRESSION_CHARACTERS_MAX, description="JMESPath")]
HeaderName = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,64}(?!\n)$", description="in lower case")]
ProviderSecret = Annotated[str, Meta(pattern=r"^[\x21-\x7e]{16,256}(?!\n)$", description="16-256 visible ASCII")]


class HookScheme(StrEnum):
    """`STANDARD`: Standard Webhooks. `GITHUB`: `X-Hub-Signature-256`, which signs no time. `HMAC`: a signature and a
    time in headers of the provider's own, as Slack's.
    """

    STANDARD = "standard-webhooks"
    GITHUB = "github"
    HMAC = "hmac"


class Encoding(StrEnum):
    """How a signature is written."""

    HEX = "hex"
    BASE64 = "base64"


class HmacForm(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The provider's own form of HMAC-SHA256. `signed`: what is signed, with `{timestamp}` (whole seconds) and `{body}`
    in it, as `v0:{timestamp}:{body}`. `prefix`: what stands before the signature in its header.
    """

    signature_header: HeaderName
    timestamp_header: HeaderName
    signed: Annotated[str, Meta(max_length=64)] = "{timestamp}.{body}"
    prefix: Annotated[str, Meta(max_length=16)] = ""
    encoding: Encoding = Encoding.HEX


class HookData(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a hook does. `template`: a task as `POST /v1/tasks` takes it, where `{"$": "<JMESPath>"}` stands for a value
    of `{"body": ..., "headers": ...}`. `when`: only deliveries for which this finds something become tasks. `key`: what
    a delivery is known by, instead of what its scheme signs as its id, or its whole body.
    """

    name: Identifier
    scheme: HookScheme
    template: dict[str, Any]
    when: Expression | None = None
    key: Expression | None = None
    hmac: HmacForm | None = None
    tolerance_seconds: Annotated[int, Meta(ge=30, le=3_600)] = TOLERANCE_SECONDS


class HookSecret(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Either derived (`generation`), or `given` by the provider and stored as it is."""

    number: int
    kid: str | None = None
    given: str | None = None


class Hook(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One hook as stored. `previous` is also good until `previous_until_ms`. Times are Unix milliseconds."""

    hook_id: str
    tenant_id: str
    data: HookData
    secret: HookSecret
    created_at_ms: int
    previous: HookSecret | None = None
    previous_until_ms: int = 0


def check_hook(data: HookData, given: str | None) -> None:
    """Raises `InvalidEvent` for what no single field can say of itself."""
    if (data.hmac is not None) is not (data.scheme is HookScheme.HMAC):
        raise InvalidEvent("$.hmac", "is there with the scheme `hmac`, and only with it")
    if data.hmac is not None and (data.hmac.signed.count("{timestamp}"), data.hmac.signed.count("{body}")) != (1, 1):
        raise InvalidEvent("$.hmac.signed", "holds {timestamp} and {body}, each once")
    if given is not None and data.scheme is HookScheme.STANDARD:
        try:
            secret_of(given)
        except InvalidSecret as error:
            raise InvalidEvent("$.secret", str(error)) from error


def secret_as_text(ring: KeyRing, hook: Hook, secret: HookSecret) -> str:
    """The secret as the provider keeps it; raises `InvalidToken` when its key has left the ring."""
    if secret.given is not None:
        return secret.given
    derived = derived_secret(ring.key(secret.kid or ""), HOOK, hook.hook_id, str(secret.number))
    return secret_text(derived) if hook.data.scheme is HookScheme.STANDARD else derived.hex()


def secrets_of_hook(ring: KeyRing, hook: Hook, now_ms: int) -> list[bytes]:
    """What deliveries may be signed under now; empty when the keys of all have left the ring."""
    overlaps = hook.previous is not None and now_ms < hook.previous_until_ms
    found: list[bytes] = []
    for one in (hook.secret, hook.previous if overlaps else None):
        try:
            text = None if one is None else secret_as_text(ring, hook, one)
        except InvalidToken:
            continue
        if text is not None:
            found.append(secret_of(text) if hook.data.scheme is HookScheme.STANDARD else text.encode())
    return found


def delivery_of(data: HookData, secrets: list[bytes], headers: dict[str, str], body: bytes, now_seconds: int) -> str:
    """What a verified delivery is known by; raises `InvalidSignature`. Constant-time comparisons.

    A header that is not signed never counts: whoever has seen a delivery could send it again under another one.
    """
    if data.scheme is HookScheme.STANDARD:
        return verified_id(secrets, headers, body, now_seconds, data.tolerance_seconds)
    if data.hmac is None:
        _require_match(headers.get(GITHUB_HEADER, ""), [_GITHUB_PREFIX + _mac(one, body).hex() for one in secrets])
    else:
        _verify_timed(data.hmac, data.tolerance_seconds, secrets, headers, body, now_seconds)
    return hashlib.sha256(body).hexdigest()


def _verify_timed(
    form: HmacForm,
    tolerance_seconds: int,
    secrets: list[bytes],
    headers: dict[str, str],
    body: bytes,
    now_seconds: int,
) -> None:
    timestamp = headers.get(form.timestamp_header, "")
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= _TIMESTAMP_DIGITS_MAX):
        raise InvalidSignature("header", f"{form.timestamp_header} is the time in whole seconds")
    before, _, behind = form.signed.replace("{timestamp}", timestamp).partition("{body}")
    signed = before.encode() + body + behind.encode()
    _require_match(
        headers.get(form.signature_header, ""), [form.prefix + _written(_mac(one, signed), form) for one in secrets]
    )
    require_recent(int(timestamp), now_seconds, tolerance_seconds)


def _require_match(given: str, wanted: list[str]) -> None:
    matches = [hmac.compare_digest(given.encode(), one.encode()) for one in wanted]
    if not any(matches):
        raise InvalidSignature("signature", "the signature is by no secret known here")


def _written(mac: bytes, form: HmacForm) -> str:
    return mac.hex() if form.encoding is Encoding.HEX else base64.b64encode(mac).decode()


def _mac(secret: bytes, signed: bytes) -> bytes:
    return hmac.new(secret, signed, hashlib.sha256).digest()
