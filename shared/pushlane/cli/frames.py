"""What `top` shows, look by look: the installation as it stands, what became of tasks lately, and what changed since
the look before.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct

from pushlane.client.live import Live, live
from pushlane.ports import ItemStore
from pushlane.telemetry.report import Percentiles, Summary

MINUTE_MS: Final = 60_000


class Lately(Struct, frozen=True, kw_only=True):
    """What became of a tenant's tasks within the period that is looked back."""

    tenant_id: str
    counts: Mapping[str, int]
    pickup: Percentiles


class Frame(Struct, frozen=True, kw_only=True):
    """One look. `number` counts from 1. `waiting_change` and `used_change`: since the look before. `ended`: tasks of
    all tenants that came to rest within the last `minutes`, by how.
    """

    number: int
    live: Live
    minutes: int
    lately: tuple[Lately, ...] = ()
    waiting_change: int = 0
    used_change: int = 0

    @property
    def ended(self) -> dict[str, int]:
        names = ("started", "succeeded", "failed", "expired", "cancelled", "dead_lettered", "deadline_missed")
        return {name: sum(one.counts.get(name, 0) for one in self.lately) for name in names}


def top_frames(
    store: ItemStore,
    now_ms: Callable[[], int],
    *,
    pool: str | None = None,
    minutes: int = 15,
    frames: int | None = None,
    pause: Callable[[], object] = lambda: None,
) -> Iterator[Frame]:
    """Look after look, `frames` of them or without end, with a `pause` between two. Raises what the store raises."""
    before: Frame | None = None
    while frames is None or (before.number if before else 0) < frames:
        if before is not None:
            pause()
        before = _frame(store, now_ms(), before, pool, minutes)
        yield before


def _frame(store: ItemStore, now_ms: int, before: Frame | None, pool: str | None, minutes: int) -> Frame:
    seen = live(store, now_ms, pool=pool)
    return Frame(
        number=1 if before is None else before.number + 1,
        live=seen,
        minutes=minutes,
        lately=tuple(map(_lately, _summaries(store, now_ms, minutes))),
        waiting_change=0 if before is None else seen.waiting - before.live.waiting,
        used_change=0 if before is None else seen.used - before.live.used,
    )


def _summaries(store: ItemStore, now_ms: int, minutes: int) -> Sequence[Summary]:
    from pushlane.telemetry.reading import summaries

    until_ms = (now_ms // MINUTE_MS + 1) * MINUTE_MS
    try:
        return summaries(store, from_ms=until_ms - minutes * MINUTE_MS, to_ms=until_ms, by="tenant")
    except KeyError:  # what is deployed keeps no measures
        return ()


def _lately(summary: Summary) -> Lately:
    pickup = summary.latencies.get("pickup", Percentiles())
    return Lately(tenant_id=summary.tenant_id, counts=dict(summary.counts), pickup=pickup)
