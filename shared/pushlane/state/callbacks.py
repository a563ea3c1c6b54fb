"""Tenants' callback settings in the config table.

That a tenant has a default is also marked on its own registration, which routers read every second anyway: tenants
without one cost no read.
"""

from typing import Final

import msgspec

from pushlane.model.callback import Callback, CallbackSettings, Generation
from pushlane.model.errors import PushlaneError
from pushlane.model.ids import digest
from pushlane.ports import (
    Absent,
    Condition,
    Equals,
    ItemStore,
    Key,
    Present,
    Put,
    Table,
    TransactionCancelled,
    Update,
)
from pushlane.state.items import VERSION, text, to_json
from pushlane.state.keys import tenant_key

# On a tenant's registration: it has a default place for callbacks.
MARK: Final = "callback"

_decoder: Final = msgspec.json.Decoder(CallbackSettings)


class CallbacksMoved(PushlaneError):
    """Somebody else changed the tenant's callbacks at this moment, or the tenant is not registered; nothing was
    changed. Look, and repeat the call.
    """


def callback_key(tenant_id: str) -> Key:
    return Key(Table.CONFIG, f"CALLBACK#{tenant_id}", "SETTINGS")


def callback_settings(store: ItemStore, tenant_id: str) -> CallbackSettings | None:
    """The tenant's settings; None when it never had any."""
    key = callback_key(tenant_id)
    found = store.get([key]).get(key)
    return None if found is None else _decoder.decode(text(found.attributes, "body"))


def set_default(store: ItemStore, tenant_id: str, default: Callback | None, kid: str, now_ms: int) -> CallbackSettings:
    """Make `default` the place of the tenant's callbacks, or take it away (None). A tenant's first settings get their
    secret from the key `kid`; later ones keep what they have. Raises `CallbacksMoved`.
    """
    before = callback_settings(store, tenant_id)
    first = CallbackSettings(tenant_id=tenant_id, secret=Generation(kid=kid, number=1), changed_at_ms=now_ms)
    made = msgspec.structs.replace(before or first, default=default, changed_at_ms=now_ms)
    return _stored(store, before, made)


def rotate_secret(store: ItemStore, tenant_id: str, kid: str, now_ms: int, overlap_seconds: int) -> CallbackSettings:
    """Give the tenant its next secret, from the key `kid`; the one until now signs along for the overlap. Raises
    `CallbacksMoved`.
    """
    before = callback_settings(store, tenant_id)
    if before is None:
        return set_default(store, tenant_id, None, kid, now_ms)
    return _stored(store, before, before.rotated(kid, now_ms, overlap_seconds))


def _stored(store: ItemStore, before: CallbackSettings | None, made: CallbackSettings) -> CallbackSettings:
    body = to_json(made)
    unmoved: Condition = Absent() if before is None else Equals("body", to_json(before))
    registration = tenant_key(made.tenant_id)
    marked = (
        Update(registration, remove=(MARK,), conditions=(Present(),))
        if made.default is None
        else Update(registration, set={MARK: True}, conditions=(Present(),))
    )
    settings = Put(callback_key(made.tenant_id), {"v": VERSION, "tenant_id": made.tenant_id, "body": body}, (unmoved,))
    try:
        store.transact([settings, marked], digest("callbacks", body, "" if before is None else to_json(before)))
    except TransactionCancelled as cancelled:
        raise CallbacksMoved(
            f"callbacks of {made.tenant_id}: changed by somebody else just now, or no such tenant; look and repeat"
        ) from cancelled
    return made
