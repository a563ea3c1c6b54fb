"""Who may submit: the tenants registered in the config table, cached for a second."""

from typing import Final

from pushlane.ports import Clock, ItemStore, Table
from pushlane.state import keys

CACHE_MS: Final = 1_000
_TENANTS_MAX: Final = 10_000


class TenantDirectory:
    """The active tenants, as of at most a second ago."""

    def __init__(self, store: ItemStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._active: frozenset[str] = frozenset()
        self._read_at_ms: int | None = None

    def active(self) -> frozenset[str]:
        now_ms = self._clock.now_ms()
        if self._read_at_ms is None or now_ms - self._read_at_ms >= CACHE_MS:
            items = self._store.query(Table.CONFIG, keys.TENANTS, limit=_TENANTS_MAX)
            self._active = frozenset(i.key.sk for i in items if i.attributes.get("status") == "active")
            self._read_at_ms = now_ms
        return self._active
