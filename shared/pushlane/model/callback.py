"""Completion callbacks: where a tenant hears of the end of a task, and under which secrets it is signed.

A tenant's secret is not stored: it is derived from the key of the ring `kid` and a generation that counts up. While the
one before is being replaced, deliveries carry the signatures of both.
"""

from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

from pushlane.model.derived_secrets import CALLBACK, derived_secret
from pushlane.model.errors import InvalidEvent, InvalidToken
from pushlane.model.keyring import KeyRing
from pushlane.model.target_url import URL_CHARACTERS_MAX, InvalidTarget, TargetRules, target_of

# What a receiver has time for to take the new secret in.
OVERLAP_SECONDS: Final = 24 * 3600
OVERLAP_SECONDS_MAX: Final = 30 * 24 * 3600


class CallbackEvent(StrEnum):
    """The facts that a callback tells: the ends of a task, and that it lies among the dead letters."""

    SUCCEEDED = "TaskSucceeded"
    FAILED = "TaskFailed"
    CANCELLED = "TaskCancelled"
    EXPIRED = "TaskExpired"
    DEAD_LETTERED = "TaskDeadLettered"


CallbackUrl = Annotated[
    str, Meta(min_length=1, max_length=URL_CHARACTERS_MAX, description="https, a public host, port 443 or 8443")
]
CallbackEvents = Annotated[tuple[CallbackEvent, ...], Meta(min_length=1, max_length=len(CallbackEvent))]


class Callback(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where to tell of a task's end. Without `events`: all of them."""

    url: CallbackUrl
    events: CallbackEvents | None = None

    def tells(self, fact: str) -> bool:
        """Whether a fact of this name is told."""
        return fact in (self.events or tuple(CallbackEvent))


class Generation(Struct, frozen=True, kw_only=True):
    """Which secret: the key of the ring that it comes from, and its number."""

    kid: str
    number: int


class CallbackSettings(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tenant's callbacks. `default`: where tasks tell that name no place of their own; None: nowhere. `previous`
    also signs until `previous_until_ms`. Times are Unix milliseconds.
    """

    tenant_id: str
    secret: Generation
    changed_at_ms: int
    default: Callback | None = None
    previous: Generation | None = None
    previous_until_ms: int = 0

    def rotated(self, kid: str, now_ms: int, overlap_seconds: int) -> "CallbackSettings":
        """With the next secret; the one until now stays good for the overlap."""
        return CallbackSettings(
            tenant_id=self.tenant_id,
            secret=Generation(kid=kid, number=self.secret.number + 1),
            changed_at_ms=now_ms,
            default=self.default,
            previous=self.secret,
            previous_until_ms=now_ms + overlap_seconds * 1_000,
        )


def callback_secret(ring: KeyRing, tenant_id: str, generation: Generation) -> bytes:
    """The secret of a generation; raises `InvalidToken` when its key has left the ring."""
    return derived_secret(ring.key(generation.kid), CALLBACK, tenant_id, str(generation.number))


def signing_secrets(ring: KeyRing, settings: CallbackSettings, now_ms: int) -> list[bytes]:
    """What a delivery is signed under now, the current secret first; raises `InvalidToken` when that one's key has
    left the ring (the tenant's secret has to be rotated).
    """
    secrets = [callback_secret(ring, settings.tenant_id, settings.secret)]
    if settings.previous is None or now_ms >= settings.previous_until_ms:
        return secrets
    try:
        return [*secrets, callback_secret(ring, settings.tenant_id, settings.previous)]
    except InvalidToken:  # the key was taken out of the ring on purpose: the old secret ends with it
        return secrets


def require_url(url: str, rules: TargetRules, field: str) -> None:
    """Raises `InvalidEvent` naming `field` for a URL that is never called."""
    try:
        target_of(url, rules)
    except InvalidTarget as error:
        raise InvalidEvent(field, str(error), "bad_url") from error
