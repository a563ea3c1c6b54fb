"""Access keys for an operator: make, list, replace and revoke them; and who else is trusted.

The secret of a key is in the answer to its making, and nowhere else: it is not stored, and cannot be shown again.
"""

import secrets
from collections.abc import Callable, Collection, Iterator
from typing import Final

import msgspec
from msgspec import Struct

from pushlane.model.access_key import AccessKey, KeyKind, api_key_text, secret_digest
from pushlane.model.envelope_proof import envelope_key
from pushlane.model.errors import PushlaneError
from pushlane.model.keyring import KeyRing
from pushlane.model.principal import InvalidPrincipal, Role, require_bounds
from pushlane.ports import Item, ItemScanner, ItemStore, Table
from pushlane.state.access_keys import add_key, end_key, find_key, key_of, revoke_key
from pushlane.state.items import text
from pushlane.state.principals import tenant_status

OVERLAP_SECONDS: Final = 24 * 3_600
_KEY_ID_BYTES: Final = 8
_SECRET_BYTES: Final = 32
_ACTIVE: Final = "active"


class _Generation(Struct, frozen=True):
    kid: str | None = None


class _Derived(Struct, frozen=True):
    """As much of a stored callback or hook as says where its secrets come from."""

    secret: _Generation
    previous: _Generation | None = None


class KeyUnknown(PushlaneError):
    """There is no key of this id."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"key {key_id}: there is none of this id; `pushlane keys list` shows those that there are")
        self.key_id = key_id


class KeyNotUsable(PushlaneError):
    """The key opens nothing any more, so there is nothing to replace."""

    def __init__(self, key_id: str, state: str) -> None:
        super().__init__(f"key {key_id} is {state}: make a new one with `pushlane keys create`")
        self.key_id = key_id
        self.state = state


class TenantInactive(PushlaneError):
    """The tenant is not registered, or is being erased."""

    def __init__(self, tenant_id: str, status: str | None) -> None:
        is_so = "is not registered: `pushlane tenants add` it" if status is None else f"is {status}"
        super().__init__(f"tenant {tenant_id} {is_so}")
        self.tenant_id = tenant_id


class NewKey(Struct, frozen=True, kw_only=True):
    """What a key is for, and whose. `expires_at_ms`: Unix milliseconds; None: until it is revoked."""

    role: Role = Role.PRODUCER
    kind: KeyKind = KeyKind.API
    tenant_id: str | None = None
    pool: str | None = None
    agent_id: str | None = None
    name: str | None = None
    expires_at_ms: int | None = None
    replaces: str | None = None


class Created(Struct, frozen=True, kw_only=True):
    """A key that was just made. `text` is what its holder keeps; it is shown this once."""

    key: AccessKey
    text: str

    def __repr__(self) -> str:
        return f"Created({self.key.key_id!r})"


class KeyMaker:
    """Makes keys. `keyring` is asked for keys of kind `envelope` only; `random_hex` gives so many random bytes."""

    def __init__(
        self,
        store: ItemStore,
        now_ms: Callable[[], int],
        keyring: Callable[[], KeyRing],
        random_hex: Callable[[int], str] = secrets.token_hex,
    ) -> None:
        self._store = store
        self._now_ms = now_ms
        self._keyring = keyring
        self._random_hex = random_hex

    def create(self, new: NewKey) -> Created:
        """Make a key. Raises `InvalidPrincipal` naming the field, and `TenantInactive`."""
        require_bounds(new.role, new.tenant_id, new.pool, new.agent_id)
        if new.tenant_id is not None and (status := tenant_status(self._store, new.tenant_id)) != _ACTIVE:
            raise TenantInactive(new.tenant_id, status)
        key_id, secret = self._random_hex(_KEY_ID_BYTES), self._random_hex(_SECRET_BYTES)
        if new.kind is KeyKind.API:
            kid, digest, said = None, secret_digest(secret), api_key_text(key_id, secret)
        else:
            derived = envelope_key(self._keyring(), key_id, new.tenant_id)
            kid, digest, said = derived.kid, None, derived.text()
        key = self._checked(new, key_id, digest, kid)
        add_key(self._store, key)
        return Created(key=key, text=said)

    def rotate(self, key_id: str, overlap_seconds: int = OVERLAP_SECONDS) -> Created:
        """A new key for the same use. The one before goes on for the overlap, or ends at once when that is 0.

        Raises `KeyUnknown` and `KeyNotUsable`.
        """
        before, now_ms = find_key(self._store, key_id), self._now_ms()
        if before is None:
            raise KeyUnknown(key_id)
        if not before.usable(now_ms):
            raise KeyNotUsable(key_id, before.state(now_ms))
        kept = {name: getattr(before, name) for name in ("role", "kind", "tenant_id", "pool", "agent_id", "name")}
        created = self.create(NewKey(**kept, expires_at_ms=before.expires_at_ms, replaces=key_id))
        if overlap_seconds <= 0:
            revoke_key(self._store, key_id)
        else:
            ends_ms = now_ms + overlap_seconds * 1_000
            end_key(
                self._store, key_id, ends_ms if before.expires_at_ms is None else min(ends_ms, before.expires_at_ms)
            )
        return created

    def revoke(self, key_id: str) -> AccessKey:
        """The key opens nothing any more; every function knows within a second. Raises `KeyUnknown`."""
        if not revoke_key(self._store, key_id):
            raise KeyUnknown(key_id)
        found = find_key(self._store, key_id)
        if found is None:
            raise KeyUnknown(key_id)
        return found

    def _checked(self, new: NewKey, key_id: str, digest: str | None, kid: str | None) -> AccessKey:
        said = msgspec.structs.asdict(new) | {"key_id": key_id, "created_at_ms": self._now_ms()}
        try:
            return msgspec.convert(said | {"secret_digest": digest, "kid": kid}, AccessKey)
        except msgspec.ValidationError as error:
            raise InvalidPrincipal("key", str(error)) from error


def signing_kids_in_use(scanner: ItemScanner, now_ms: int) -> Collection[str]:
    """The keys of the ring that secrets in use are derived from: those of envelope keys, callbacks and hooks. They stay
    in the ring when it is rotated.
    """
    found = (kid for item in scanner.scan(Table.CONFIG) for kid in _kids(item, now_ms))
    return {kid for kid in found if kid is not None}


def _kids(item: Item, now_ms: int) -> Iterator[str | None]:
    match item.key.pk.partition("#")[0]:
        case "KEY":
            key = key_of(item)
            yield key.kid if key.usable(now_ms) else None
        case "CALLBACK" | "HOOK":
            said = msgspec.json.decode(text(item.attributes, "body"), type=_Derived)
            yield said.secret.kid
            yield None if said.previous is None else said.previous.kid
