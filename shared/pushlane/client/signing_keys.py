"""Rotate the signing secret: a new key signs, those before it still verify for a while.

The new value becomes the current one only if nobody else changed the secret meanwhile, so no key that has signed
anything is lost by two rotations at once.
"""

import json
import re
import secrets
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from pushlane.model.errors import PushlaneError
from pushlane.model.keyring import StoredRing, stored_ring_of

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

KEPT_KEYS: Final = 2
_CURRENT: Final = "AWSCURRENT"
_SECRET_BYTES: Final = 32
_NUMBERED: Final = re.compile(r"k([0-9]{1,9})")


class RotationRefused(PushlaneError):
    """The secret was not changed; the message says why and what to do next."""


class Rotation(Struct, frozen=True, kw_only=True):
    """What a rotation did. `kept`: older keys that still verify. `removed`: what was signed under them is refused."""

    current: str
    previous: str
    kept: tuple[str, ...]
    removed: tuple[str, ...]
    rotated_at_ms: int


def rotate_signing_key(
    secrets_client: "SecretsManagerClient",
    secret_id: str,
    now_ms: int,
    *,
    keep: int = KEPT_KEYS,
    needed: Collection[str] = (),
    new_secret: Callable[[], str] = lambda: secrets.token_hex(_SECRET_BYTES),
) -> Rotation:
    """Put a new current key into the signing secret, keep the `keep` latest ones before it and those `needed` (the kids
    of envelope keys that are in use), and remove the rest. With `keep=0` nothing that was signed before verifies any
    more, a minute later at most.

    Raises `RotationRefused` when the secret cannot hold a ring or somebody else changed it meanwhile.
    """
    if keep < 0:
        raise RotationRefused(f"keep={keep}: give the number of older keys that stay, 0 or more")
    version, before = _stored(secrets_client, secret_id)
    kid = _next_kid(before.keys)
    older = [name for name in _latest_first(before.keys) if name != before.current]
    latest = [before.current, *older]
    kept = tuple(name for place, name in enumerate(latest) if place < keep or name in needed)
    keys = {kid: new_secret(), **{name: before.keys[name] for name in kept}}
    _store(secrets_client, secret_id, version, StoredRing(current=kid, keys=keys, rotated_at_ms=now_ms))
    removed = tuple(name for name in latest if name not in kept)
    return Rotation(current=kid, previous=before.current, kept=kept, removed=removed, rotated_at_ms=now_ms)


def remove_signing_key(secrets_client: "SecretsManagerClient", secret_id: str, kid: str) -> None:
    """Take one older key out of the ring: nothing that it signed verifies any more, a minute later at most. Raises
    `RotationRefused`.
    """
    version, before = _stored(secrets_client, secret_id)
    if kid == before.current:
        raise RotationRefused(f"{kid} is the key that signs: rotate first, then remove it")
    if kid not in before.keys:
        raise RotationRefused(f"the ring has no key {kid!r}: it has {', '.join(_latest_first(before.keys))}")
    keys = {name: key for name, key in before.keys.items() if name != kid}
    _store(secrets_client, secret_id, version, msgspec.structs.replace(before, keys=keys))


def _stored(client: "SecretsManagerClient", secret_id: str) -> tuple[str, StoredRing]:
    found = client.get_secret_value(SecretId=secret_id, VersionStage=_CURRENT)
    if "SecretString" not in found:
        raise RotationRefused("the signing secret is binary, and a ring of keys is text: store it as text first")
    return found["VersionId"], stored_ring_of(found["SecretString"])


def _store(client: "SecretsManagerClient", secret_id: str, version: str, ring: StoredRing) -> None:
    """Two steps, so that the second one can insist on the version that was read."""
    text, label = json.dumps(msgspec.to_builtins(ring), sort_keys=True), f"pushlane-{secrets.token_hex(8)}"
    proposed = client.put_secret_value(SecretId=secret_id, SecretString=text, VersionStages=[label])["VersionId"]
    try:
        client.update_secret_version_stage(
            SecretId=secret_id, VersionStage=_CURRENT, MoveToVersionId=proposed, RemoveFromVersionId=version
        )
    except client.exceptions.InvalidParameterException as error:
        raise RotationRefused("somebody else changed the signing secret meanwhile: look, and rotate again") from error
    finally:
        client.update_secret_version_stage(SecretId=secret_id, VersionStage=label, RemoveFromVersionId=proposed)


def _next_kid(keys: Mapping[str, str]) -> str:
    return f"k{max((_number(kid) for kid in keys), default=0) + 1}"


def _latest_first(keys: Mapping[str, str]) -> list[str]:
    return sorted(keys, key=_number, reverse=True)


def _number(kid: str) -> int:
    found = _NUMBERED.fullmatch(kid)
    return 0 if found is None else int(found[1])
