"""Claim check: a payload or result too large to travel stays in S3 and a reference goes in its place.

Pattern: Hohpe and Woolf, "Enterprise Integration Patterns", Claim Check.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from pushlane.model.ids import digest

INLINE_BYTES_MAX: Final = 64 * 1024
CLAIMED_BYTES_MAX: Final = 16 * 1024 * 1024
FIELD: Final = "$claim_check"
# `claims/<tenant>/<name>`, and nothing that a store with folders could take for a way out of the tenant's.
KEY_PATTERN: Final = r"^claims/[A-Za-z0-9][A-Za-z0-9._-]{0,63}/[A-Za-z0-9][A-Za-z0-9._-]{0,255}(?!\n)$"


class ClaimCheck(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the JSON object lies: a key of Pushlane's own claims bucket, its size in bytes and its SHA-256."""

    key: Annotated[str, Meta(pattern=KEY_PATTERN)]
    bytes: Annotated[int, Meta(ge=2, le=CLAIMED_BYTES_MAX)]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


def as_claim_check(value: Mapping[str, Any]) -> ClaimCheck | None:
    """The claim check that `value` is, None for an ordinary object. Raises `msgspec.ValidationError` if malformed."""
    if FIELD not in value:
        return None
    if len(value) != 1:
        raise msgspec.ValidationError(f"`{FIELD}` stands alone in its object")
    return msgspec.convert(value[FIELD], ClaimCheck)


def as_value(claim: ClaimCheck) -> dict[str, Any]:
    """The one-key JSON object that stands for the claimed one."""
    return {FIELD: msgspec.to_builtins(claim)}


def claim_prefix(tenant_id: str) -> str:
    """Keys of a tenant's claims start with this; a task may only name its own tenant's."""
    return f"claims/{tenant_id}/"


def claim_key(tenant_id: str, sha256: str) -> str:
    """Content-addressed within the tenant, so a repeated upload is the same object."""
    return f"{claim_prefix(tenant_id)}{digest(sha256)}-{sha256[:16]}.json"
