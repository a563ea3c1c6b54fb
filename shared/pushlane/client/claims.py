"""Claim checks of the producer: large payloads are stored before the event, large results are fetched back."""

import hashlib
from typing import Any

import msgspec

from pushlane.client.errors import ResultUnavailable
from pushlane.model.claim_check import ClaimCheck, as_claim_check, as_value, claim_key
from pushlane.ports import BlobStore


def store(blobs: BlobStore, tenant_id: str, encoded: bytes) -> dict[str, Any]:
    """Store an encoded JSON object and return the one-key object that stands for it."""
    sha256 = hashlib.sha256(encoded).hexdigest()
    key = claim_key(tenant_id, sha256)
    blobs.put(key, encoded)
    return as_value(ClaimCheck(key=key, bytes=len(encoded), sha256=sha256))


def resolve(blobs: BlobStore, value: dict[str, Any]) -> dict[str, Any]:
    """The object itself: `value`, or what its claim check names. Raises `ResultUnavailable`."""
    claim = as_claim_check(value)
    if claim is None:
        return value
    try:
        encoded = blobs.get(claim.key)
    except KeyError as error:
        raise ResultUnavailable(f"{claim.key}: gone; claimed objects are kept for 30 days") from error
    if hashlib.sha256(encoded).hexdigest() != claim.sha256:
        raise ResultUnavailable(f"{claim.key}: the stored object is not the one that was claimed (SHA-256 differs)")
    resolved: dict[str, Any] = msgspec.json.decode(encoded, type=dict[str, Any])
    return resolved
