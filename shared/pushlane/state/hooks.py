"""Hooks in the config table: one item a hook, and beside it one in a list by tenant."""

from typing import Final

import msgspec

from pushlane.model.errors import PushlaneError
from pushlane.model.hook import Hook, HookSecret
from pushlane.model.ids import digest
from pushlane.ports import (
    Absent,
    ConditionFailed,
    Delete,
    Equals,
    ItemStore,
    Key,
    Put,
    Table,
)
from pushlane.state.items import VERSION, text, to_json

# Of one tenant; a list of them is one answer.
HOOKS_MAX: Final = 100

_decoder: Final = msgspec.json.Decoder(Hook)


class TooManyHooks(PushlaneError):
    """The tenant has as many hooks as it may have; remove one."""


class HookMoved(PushlaneError):
    """Somebody else changed or removed the hook at this moment; nothing was changed. Look, and repeat the call."""


def hook_key(hook_id: str) -> Key:
    return Key(Table.CONFIG, f"HOOK#{hook_id}", "HOOK")


def listed_key(tenant_id: str, hook_id: str) -> Key:
    return Key(Table.CONFIG, f"HOOKS#{tenant_id}", hook_id)


def find_hook(store: ItemStore, hook_id: str) -> Hook | None:
    """The hook of this id."""
    key = hook_key(hook_id)
    found = store.get([key]).get(key)
    return None if found is None else _decoder.decode(text(found.attributes, "body"))


def add_hook(store: ItemStore, hook: Hook) -> None:
    """Store a new hook; raises `TooManyHooks`."""
    if len(_listed(store, hook.tenant_id)) >= HOOKS_MAX:
        raise TooManyHooks(f"{hook.tenant_id} has {HOOKS_MAX} hooks: remove one that is not used any more")
    listed = Put(listed_key(hook.tenant_id, hook.hook_id), {"v": VERSION, "tenant_id": hook.tenant_id})
    store.transact([Put(hook_key(hook.hook_id), _attributes(hook), (Absent(),)), listed], digest("hook", hook.hook_id))


def hooks_of(store: ItemStore, tenant_id: str) -> tuple[Hook, ...]:
    """Every hook of the tenant, oldest first."""
    wanted = [hook_key(hook_id) for hook_id in _listed(store, tenant_id)]
    found = store.get(wanted) if wanted else {}
    hooks = [_decoder.decode(text(item.attributes, "body")) for item in found.values()]
    return tuple(sorted(hooks, key=lambda one: (one.created_at_ms, one.hook_id)))


def rotate_hook(store: ItemStore, hook: Hook, secret: HookSecret, previous_until_ms: int) -> Hook:
    """Give the hook its next secret; the one until now stays good for a while. Raises `HookMoved`."""
    made = msgspec.structs.replace(hook, secret=secret, previous=hook.secret, previous_until_ms=previous_until_ms)
    try:
        store.write(Put(hook_key(hook.hook_id), _attributes(made), (Equals("body", to_json(hook)),)))
    except ConditionFailed as failed:
        if failed.item is not None and failed.item.attributes.get("body") == to_json(made):
            return made  # our own write, whose answer was lost
        raise HookMoved(f"hook {hook.hook_id}: changed by somebody else just now; look and repeat") from failed
    return made


def remove_hook(store: ItemStore, hook: Hook) -> None:
    """From now on nothing that is sent to it becomes a task. Done twice, or in part, it does no harm."""
    store.write(Delete(hook_key(hook.hook_id)))
    store.write(Delete(listed_key(hook.tenant_id, hook.hook_id)))


def _listed(store: ItemStore, tenant_id: str) -> list[str]:
    return [item.key.sk for item in store.query(Table.CONFIG, f"HOOKS#{tenant_id}", limit=HOOKS_MAX)]


def _attributes(hook: Hook) -> dict[str, str | int | bool | list[str]]:
    return {"v": VERSION, "tenant_id": hook.tenant_id, "body": to_json(hook)}
