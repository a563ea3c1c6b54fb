"""Results and checkpoints that agents send over HTTP: bounded, of their own tenant, by claim check where large."""

from typing import Any

import msgspec

from pushlane.api.ports import ApiPorts
from pushlane.api.problems import Problem, invalid
from pushlane.model.claim_check import (
    CLAIMED_BYTES_MAX,
    FIELD,
    INLINE_BYTES_MAX,
    as_claim_check,
    claim_prefix,
)
from pushlane.router.claimed import as_claim


def kept(ports: ApiPorts, tenant_id: str, value: dict[str, Any], field: str) -> dict[str, Any]:
    """The object as it is stored: itself, or the claim check that stands for it. Raises 422 for another tenant's claim
    check, and 413.
    """
    try:
        claim = as_claim_check(value)
    except msgspec.ValidationError as error:
        raise invalid(f"$.{field}.{FIELD}", str(error)) from error
    if claim is not None:
        if not claim.key.startswith(claim_prefix(tenant_id)):
            raise invalid(f"$.{field}.{FIELD}.key", "does not lie under the tenant's own claims", "foreign_claim")
        return value
    size = len(msgspec.json.encode(value))
    if size <= INLINE_BYTES_MAX:
        return value
    if size > CLAIMED_BYTES_MAX:
        raise Problem(413, "too-large", f"$.{field}: {size} bytes of JSON, at most {CLAIMED_BYTES_MAX} are kept")
    return as_claim(ports.blobs, tenant_id, value)
