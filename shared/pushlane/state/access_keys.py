"""Access keys in the config table: one item a key, and beside it one in a list by tenant.

A key never changes but for its end: it is revoked, or gets a date. What replaces it is a new key beside it.
"""

from typing import Final

import msgspec

from pushlane.model.access_key import AccessKey, KeyStatus
from pushlane.model.ids import digest
from pushlane.ports import (
    Absent,
    ConditionFailed,
    Delete,
    Equals,
    Item,
    ItemStore,
    Key,
    Present,
    Put,
    Scalar,
    Table,
    Update,
)
from pushlane.state.items import VERSION, text, to_json

KEYS: Final = "KEYS"
# No tenant id has a star in it.
INSTALLATION: Final = "*"
_PAGE: Final = 100


def access_key_key(key_id: str) -> Key:
    return Key(Table.CONFIG, f"KEY#{key_id}", "KEY")


def listed_key(tenant_id: str | None, key_id: str) -> Key:
    """The key in the list of its tenant, or of the installation."""
    return Key(Table.CONFIG, KEYS, f"{tenant_id or INSTALLATION}#{key_id}")


def key_of(item: Item) -> AccessKey:
    """The key in its stored form; its end stands beside the form."""
    a = item.attributes
    key = msgspec.json.decode(text(a, "body"), type=AccessKey)
    ends = a.get("expires_at_ms")
    return msgspec.structs.replace(
        key, status=KeyStatus(text(a, "status")), expires_at_ms=ends if isinstance(ends, int) else None
    )


def find_key(store: ItemStore, key_id: str) -> AccessKey | None:
    """The key of this id, whatever its status."""
    key = access_key_key(key_id)
    found = store.get([key]).get(key)
    return None if found is None else key_of(found)


def add_key(store: ItemStore, key: AccessKey) -> None:
    """Store a new key; raises `TransactionCancelled` when there is one of this id."""
    attributes: dict[str, Scalar] = {"v": VERSION, "status": key.status.value, "body": to_json(key)}
    if key.expires_at_ms is not None:
        attributes["expires_at_ms"] = key.expires_at_ms
    listed = Put(listed_key(key.tenant_id, key.key_id), {"v": VERSION, "key_id": key.key_id})
    store.transact([Put(access_key_key(key.key_id), attributes, (Absent(),)), listed], digest("key", to_json(key)))


def keys_of(store: ItemStore, tenant_id: str | None) -> tuple[AccessKey, ...]:
    """Every key of the tenant; with None those of the installation."""
    return _listed(store, f"{tenant_id or INSTALLATION}#")


def all_keys(store: ItemStore) -> tuple[AccessKey, ...]:
    """Every key of every tenant, and the installation's."""
    return _listed(store, "")


def revoke_key(store: ItemStore, key_id: str) -> bool:
    """The key opens nothing any more; False when there is none. Revoking twice changes nothing."""
    return _change(store, Update(access_key_key(key_id), set={"status": KeyStatus.REVOKED.value}))


def end_key(store: ItemStore, key_id: str, expires_at_ms: int) -> bool:
    """The active key ends at a time; False when there is none."""
    active = Equals("status", KeyStatus.ACTIVE.value)
    return _change(store, Update(access_key_key(key_id), set={"expires_at_ms": expires_at_ms}, conditions=(active,)))


def remove_key(store: ItemStore, key: AccessKey) -> None:
    """Remove one key altogether, so that no list shows it any more."""
    store.write(Delete(access_key_key(key.key_id)))
    store.write(Delete(listed_key(key.tenant_id, key.key_id)))


def erase_keys(store: ItemStore, tenant_id: str) -> int:
    """Remove every key of the tenant, and its places in the list; returns how many there were."""
    erased = 0
    while sks := _listed_places(store, f"{tenant_id}#", "", _PAGE):
        for sk in sks:
            store.write(Delete(access_key_key(sk.partition("#")[2])))
            store.write(Delete(Key(Table.CONFIG, KEYS, sk)))
        erased += len(sks)
    return erased


def _change(store: ItemStore, update: Update) -> bool:
    try:
        store.write(msgspec.structs.replace(update, conditions=(*update.conditions, Present())))
    except ConditionFailed:
        return False
    return True


def _listed(store: ItemStore, prefix: str) -> tuple[AccessKey, ...]:
    found: list[AccessKey] = []
    behind = ""
    while sks := _listed_places(store, prefix, behind, _PAGE):
        wanted = [access_key_key(sk.partition("#")[2]) for sk in sks]
        items = store.get(wanted)
        found += [key_of(items[key]) for key in wanted if key in items]
        behind = sks[-1]
    return tuple(found)


def _listed_places(store: ItemStore, prefix: str, behind: str, limit: int) -> list[str]:
    start = f"{behind}!" if behind else prefix  # sorts before whatever an id goes on with
    found = store.query(Table.CONFIG, KEYS, limit=limit, start=start)
    return [item.key.sk for item in found if item.key.sk.startswith(prefix)]
