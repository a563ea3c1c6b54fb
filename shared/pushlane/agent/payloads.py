"""What an agent gets and returns: typed, bounded, and claim-checked where it is large."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.agent.errors import Permanent
from pushlane.model import claim_check
from pushlane.model.decoding import misfit
from pushlane.model.nesting import NESTING_MAX, nests_too_deep
from pushlane.ports import BlobStore

_ROOT: Final = "$"


class Claims(Struct, frozen=True):
    """Large values of one tenant. `blobs` is called only for a large one, so that most never pay for its client."""

    tenant_id: str
    blobs: Callable[[], BlobStore]

    def redeem(self, value: Mapping[str, Any]) -> Mapping[str, Any]:
        """The object itself: `value`, or what its claim check names. Raises `Permanent` when that is not what was
        claimed, `KeyError` when it is gone.
        """
        claim = claim_check.as_claim_check(value)
        if claim is None:
            return value
        body = self.blobs().get(claim.key)
        if hashlib.sha256(body).hexdigest() != claim.sha256:
            raise Permanent(f"claim check {claim.key}: the stored object is not the one that was claimed")
        found = msgspec.json.decode(body)
        if not isinstance(found, dict):
            raise Permanent(f"claim check {claim.key}: the stored JSON is not an object")
        return found

    def bounded(self, value: Mapping[str, Any], what: str) -> dict[str, Any]:
        """`value` as every reader will see it, or the claim check that stands for it; raises `Permanent` when it is too
        large or nests too deep (`what` names it).
        """
        body = msgspec.json.encode(value)
        if len(body) <= claim_check.INLINE_BYTES_MAX:
            # Decoded again, so that what is stored and fingerprinted is what every reader will see.
            plain: dict[str, Any] = msgspec.json.decode(body)
            if nests_too_deep(plain):
                raise Permanent(f"the {what} nests deeper than {NESTING_MAX} levels")
            return plain
        if len(body) > claim_check.CLAIMED_BYTES_MAX:
            raise Permanent(f"the {what} has {len(body)} bytes, at most {claim_check.CLAIMED_BYTES_MAX} are kept")
        sha256 = hashlib.sha256(body).hexdigest()
        key = claim_check.claim_key(self.tenant_id, sha256)
        self.blobs().put(key, body)
        return claim_check.as_value(claim_check.ClaimCheck(key=key, bytes=len(body), sha256=sha256))


def typed_payload(payload: Mapping[str, Any], kind: Any) -> Any:
    """The payload as the agent's `payload` type; raises `Permanent` naming the field that does not fit."""
    if kind is None:
        return payload
    try:
        return msgspec.convert(payload, kind)
    except msgspec.ValidationError as error:
        raise Permanent(_named("payload", error, payload, kind)) from error


def plain_result(result: object, kind: Any) -> Mapping[str, Any]:
    """The result as a mapping of JSON values; raises `Permanent` when it is none, or not of the agent's type."""
    if kind is not None and not _fits(result, kind):
        raise Permanent(f"an agent returns a {kind.__name__}, this one returned {type(result).__name__}")
    plain = result if isinstance(result, Mapping) else _as_object(result)
    if plain is None:
        raise Permanent(f"an agent returns a JSON object, this one returned {type(result).__name__}")
    if kind is not None:
        try:
            msgspec.convert(msgspec.to_builtins(plain), kind)
        except msgspec.ValidationError as error:
            raise Permanent(_named("result", error, plain, kind)) from error
    return plain


def as_state(state: object) -> dict[str, Any]:
    """An author's state (a mapping, a `msgspec.Struct` or a dataclass) as a JSON object; raises `ValueError`."""
    plain = _as_object(state)
    if plain is None:
        raise ValueError(f"a checkpoint is a JSON object, this one is {type(state).__name__}")
    return dict(plain)


def _fits(result: object, kind: Any) -> bool:
    return isinstance(result, Mapping) or not isinstance(kind, type) or isinstance(result, kind)


def _as_object(value: object) -> Mapping[str, Any] | None:
    """What JSON makes of it, if that is an object."""
    plain = msgspec.to_builtins(value, str_keys=True) if not (value is None or isinstance(value, str | bytes)) else None
    return plain if isinstance(plain, Mapping) else None


def _named(what: str, error: msgspec.ValidationError, said: object, kind: Any) -> str:
    found = misfit(error, said, kind) if isinstance(kind, type) and issubclass(kind, Struct) else None
    if found is None:
        return f"{what}: {error}"
    return f"{found.field.replace(_ROOT, what, 1)}: {found.reason}"
