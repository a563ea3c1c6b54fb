"""A polling fleet's figures, kept with the installation: `pushlane migrate status` shows them on any machine."""

from typing import Final

import msgspec
from msgspec import Struct

from pushlane.migrate.figures import Figures, PollFigures, TenantFigures
from pushlane.model.errors import InvalidEvent
from pushlane.model.ids import Identifier
from pushlane.ports import ItemStore, Key, Put, Scalar, Table
from pushlane.state.items import VERSION, text, to_json

_PREFIX: Final = "POLLING#"
_SOURCES_MAX: Final = 100


class _Named(Struct, frozen=True):
    name: Identifier


class KeptFigures(Struct, frozen=True, kw_only=True):
    """What one source said of one tenant; `polls` are those of the whole fleet that it watched."""

    source: str
    kept_at_ms: int
    from_ms: int
    to_ms: int
    tenant: TenantFigures
    polls: PollFigures


def keep(store: ItemStore, source: str, figures: Figures, now_ms: int) -> int:
    """Keep the figures of each tenant under the name of who measured them, in the place of what it said before.
    Returns for how many tenants. Raises `InvalidEvent` for a name that is none.
    """
    _require_name("source", source)
    for tenant in figures.tenants:
        _require_name("tenant_id", tenant.tenant_id)
    for tenant in figures.tenants:
        one = KeptFigures(
            source=source,
            kept_at_ms=now_ms,
            from_ms=figures.from_ms,
            to_ms=figures.to_ms,
            tenant=tenant,
            polls=figures.polls,
        )
        said: dict[str, Scalar] = {"v": VERSION, "tenant_id": tenant.tenant_id, "polling": to_json(one)}
        store.write(Put(Key(Table.CONFIG, _PREFIX + tenant.tenant_id, source), said))
    return len(figures.tenants)


def kept(store: ItemStore, tenant_id: str) -> tuple[KeptFigures, ...]:
    """What was kept of a tenant, by source."""
    items = store.query(Table.CONFIG, _PREFIX + tenant_id, limit=_SOURCES_MAX)
    return tuple(msgspec.json.decode(text(item.attributes, "polling"), type=KeptFigures) for item in items)


def _require_name(field: str, name: str) -> None:
    try:
        msgspec.convert({"name": name}, _Named)
    except msgspec.ValidationError as error:
        reason = f"{name[:64]!r} is no name: 1-64 of A-Z a-z 0-9 . _ -, not leading . _ -"
        raise InvalidEvent(f"$.{field}", reason, "invalid_name") from error
