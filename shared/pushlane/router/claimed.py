"""Values that are too large for a message: the router stores them as the SDKs do."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from pushlane.model.claim_check import ClaimCheck, as_value, claim_key
from pushlane.ports import BlobStore


def as_claim(blobs: BlobStore, tenant_id: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """Store the object among the tenant's claims and return the one-key object that stands for it."""
    encoded = msgspec.json.encode(value, order="sorted")
    sha256 = hashlib.sha256(encoded).hexdigest()
    key = claim_key(tenant_id, sha256)
    blobs.put(key, encoded)
    return as_value(ClaimCheck(key=key, bytes=len(encoded), sha256=sha256))
