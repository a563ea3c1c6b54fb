"""The registered tenants: who may submit."""

import msgspec
from msgspec import Struct

from pushlane.client.errors import InvalidSubmission
from pushlane.model.ids import Identifier
from pushlane.ports import (
    Absent,
    AnyOf,
    ConditionFailed,
    Equals,
    Item,
    ItemStore,
    Present,
    Put,
    Scalar,
    Table,
    Update,
)
from pushlane.state.items import VERSION, text
from pushlane.state.keys import TENANTS, tenant_key

ACTIVE = "active"
SUSPENDED = "suspended"
ERASING = "erasing"
TENANTS_MAX = 10_000


class Tenant(Struct, frozen=True, kw_only=True):
    """One tenant as registered."""

    tenant_id: str
    status: str
    created_at_ms: int | None


def add_tenant(store: ItemStore, tenant_id: str, now_ms: int) -> bool:
    """Register a tenant; False when it was there already (nothing changes). Raises `InvalidSubmission`.

    Running routers know it within a second.
    """
    key = tenant_key(_checked(tenant_id))
    attributes: dict[str, Scalar] = {"v": VERSION, "tenant_id": tenant_id, "status": ACTIVE, "created_at_ms": now_ms}
    try:
        store.write(Put(key, attributes, (Absent(),)))
    except ConditionFailed:
        return False
    return True


def set_status(store: ItemStore, tenant_id: str, status: str) -> Tenant | None:
    """Suspend a tenant (nothing of it is taken any more, what is accepted goes on) or let it in again; None when there
    is none of this id. Running routers know it within a second.
    """
    key = tenant_key(tenant_id)
    changed_from = AnyOf((Equals("status", ACTIVE), Equals("status", SUSPENDED)))
    try:
        store.write(Update(key, set={"status": status}, conditions=(Present(), changed_from)))
    except ConditionFailed:
        return None
    return tenant_of(store, tenant_id)


def begin_erasing(store: ItemStore, tenant_id: str) -> Tenant | None:
    """Shut a tenant out for good: every door refuses it and its keys, and it is not let in again. What it has is there
    until it is removed (`pushlane.client.erasure`). None when there is none of this id.
    """
    try:
        store.write(Update(tenant_key(tenant_id), set={"status": ERASING}, conditions=(Present(),)))
    except ConditionFailed:
        return None
    return tenant_of(store, tenant_id)


def tenant_of(store: ItemStore, tenant_id: str) -> Tenant | None:
    """The registered tenant; None when there is none of this id."""
    key = tenant_key(tenant_id)
    found = store.get([key]).get(key)
    return None if found is None else _tenant(found)


def all_tenants(store: ItemStore) -> tuple[Tenant, ...]:
    """Every registered tenant, by id."""
    items = store.query(Table.CONFIG, TENANTS, limit=TENANTS_MAX)
    return tuple(map(_tenant, items))


def _tenant(item: Item) -> Tenant:
    return Tenant(
        tenant_id=item.key.sk,
        status=text(item.attributes, "status"),
        created_at_ms=_created(item.attributes.get("created_at_ms")),
    )


def _created(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _checked(tenant_id: str) -> str:
    try:
        return msgspec.convert(tenant_id, Identifier)
    except msgspec.ValidationError as error:
        raise InvalidSubmission("tenant_id", f"{tenant_id!r}: {error}") from error
