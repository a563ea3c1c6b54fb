"""Access keys: what a program shows to be let in (kind `api`), or signs its envelopes with (kind `envelope`).

An API key is `pl_<key_id>_<secret>`. Only the SHA-256 of its secret is stored: a secret of 32 random bytes needs no
slow hash, and what is stored opens nothing. An envelope key's secret is derived from the installation's key ring, and
not stored at all.
"""

import hashlib
import hmac
import re
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from pushlane.model.ids import Identifier
from pushlane.model.principal import Principal, Role

PREFIX: Final = "pl_"
KEY_ID_PATTERN: Final = r"^[a-z0-9]{8,32}(?!\n)$"
_NOBODYS: Final = "0" * 64
_API_KEY: Final = re.compile(r"pl_(?P<key_id>[a-z0-9]{8,32})_(?P<secret>[0-9a-f]{64})", re.ASCII)

KeyId = Annotated[str, Meta(pattern=KEY_ID_PATTERN, description="8-32 of a-z 0-9")]


class KeyKind(StrEnum):
    """What a key is for."""

    API = "api"
    ENVELOPE = "envelope"


class KeyStatus(StrEnum):
    """Whether a key still opens anything. An active one may have expired all the same."""

    ACTIVE = "active"
    REVOKED = "revoked"


class AccessKey(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One key as stored. `secret_digest`: of an API key. `kid`: the key of the ring that an envelope key comes from.
    Times in Unix milliseconds; without `expires_at_ms` it lasts until it is revoked.
    """

    key_id: KeyId
    kind: KeyKind
    role: Role
    created_at_ms: int
    status: KeyStatus = KeyStatus.ACTIVE
    tenant_id: Identifier | None = None
    pool: Identifier | None = None
    agent_id: Identifier | None = None
    name: Annotated[str, Meta(max_length=128)] | None = None
    secret_digest: str | None = None
    kid: str | None = None
    expires_at_ms: int | None = None
    replaces: KeyId | None = None

    def state(self, now_ms: int) -> str:
        """`active`, `expired` or `revoked`."""
        if self.status is not KeyStatus.ACTIVE:
            return self.status.value
        return "expired" if self.expired(now_ms) else KeyStatus.ACTIVE.value

    def expired(self, now_ms: int) -> bool:
        return self.expires_at_ms is not None and self.expires_at_ms <= now_ms

    def usable(self, now_ms: int) -> bool:
        """Whether the key opens anything now."""
        return self.status is KeyStatus.ACTIVE and not self.expired(now_ms)

    def principal(self) -> Principal:
        """Whoever shows the key."""
        return Principal(
            principal_id=f"key.{self.key_id}",
            role=self.role,
            tenant_id=self.tenant_id,
            pool=self.pool,
            agent_id=self.agent_id,
            key_id=self.key_id,
        )


def api_key_text(key_id: str, secret: str) -> str:
    """The key as its holder keeps it."""
    return f"{PREFIX}{key_id}_{secret}"


def parse_api_key(text: str) -> tuple[str, str] | None:
    """Key id and secret of an API key; None for anything else."""
    found = _API_KEY.fullmatch(text)
    return None if found is None else (found["key_id"], found["secret"])


def secret_digest(secret: str) -> str:
    """What is stored of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def secret_matches(key: AccessKey | None, secret: str) -> bool:
    """Whether the secret is the key's. No key costs the same time as a wrong secret."""
    stored = None if key is None else key.secret_digest
    same = hmac.compare_digest((stored or _NOBODYS).encode(), secret_digest(secret).encode())
    return same and stored is not None


def described(key: AccessKey, now_ms: int) -> dict[str, object]:
    """The key for whoever manages keys: everything but the digest."""
    said: dict[str, object] = msgspec.to_builtins(key)
    said.pop("secret_digest", None)
    return said | {"status": key.state(now_ms)}
