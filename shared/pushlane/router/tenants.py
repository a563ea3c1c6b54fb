"""Who may submit: the tenants registered in the config table, cached for a second."""

from typing import Final

from pushlane.ports import Clock, ItemStore, Table
from pushlane.state import keys
from pushlane.state.callbacks import MARK

CACHE_MS: Final = 1_000
ERASING: Final = "erasing"
_TENANTS_MAX: Final = 10_000


class TenantDirectory:
    """The active tenants, as of at most a second ago."""

    def __init__(self, store: ItemStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._active: frozenset[str] = frozenset()
        self._with_callback: frozenset[str] = frozenset()
        self._erasing: frozenset[str] = frozenset()
        self._read_at_ms: int | None = None

    def active(self) -> frozenset[str]:
        self._look()
        return self._active

    def erasing(self) -> frozenset[str]:
        """Those that are being erased: nothing comes in for them, and what they have may be ended."""
        self._look()
        return self._erasing

    def with_callback(self) -> frozenset[str]:
        """Those that have a default place for callbacks."""
        self._look()
        return self._with_callback

    def _look(self) -> None:
        now_ms = self._clock.now_ms()
        if self._read_at_ms is None or now_ms - self._read_at_ms >= CACHE_MS:
            items = self._store.query(Table.CONFIG, keys.TENANTS, limit=_TENANTS_MAX)
            self._active = frozenset(i.key.sk for i in items if i.attributes.get("status") == "active")
            self._erasing = frozenset(i.key.sk for i in items if i.attributes.get("status") == ERASING)
            self._with_callback = frozenset(i.key.sk for i in items if MARK in i.attributes)
            self._read_at_ms = now_ms
