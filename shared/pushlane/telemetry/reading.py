"""The measures table -> summaries of tenants over a period."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from pushlane.model.policy import Policy
from pushlane.ports import Attributes, Item, ItemStore, Table
from pushlane.state.measures import (
    DAY_MS,
    MINUTE_MS,
    day_pk,
    slice_and_tier,
    slice_start,
    tenant_of_day,
    tenant_pk,
)
from pushlane.telemetry.layout import COUNTS, DISTRIBUTIONS, SUMS, bucket_named
from pushlane.telemetry.report import By, Summary
from pushlane.telemetry.sketch import percentiles

_PAGE: Final = 500
_TENANTS_MAX: Final = 10_000

# Of which tenant, tier (None: all) and period.
_Place = tuple[str, str | None, int, int]


def summaries(
    store: ItemStore,
    *,
    from_ms: int,
    to_ms: int,
    tenant_id: str | None = None,
    by: By = "tenant",
    policy: Policy | None = None,
) -> list[Summary]:
    """What was measured from `from_ms` until before `to_ms` (Unix milliseconds; slices of five seconds count as a whole
    by when they began), of one tenant or all, in order of tenant, tier and time. `by` "minute": for each minute, of all
    tiers. With the policy, cost has the price of tokens in it, and the tenant's weight is told. Raises
    `StoreUnavailable`.
    """
    tenants = [tenant_id] if tenant_id is not None else _measured(store, from_ms, to_ms)
    found: dict[_Place, Counter[str]] = {}
    for tenant in tenants:
        for item in _slices(store, tenant, from_ms, to_ms):
            place = _place(tenant, item, by, from_ms, to_ms)
            _add(found.setdefault(place, Counter()), item.attributes)
    ordered = sorted(found.items(), key=lambda one: (one[0][0], one[0][1] or "", one[0][2]))
    return [_summary(place, counted, policy) for place, counted in ordered]


def _measured(store: ItemStore, from_ms: int, to_ms: int) -> Sequence[str]:
    """The tenants that have measures of any day of the period."""
    days = range(from_ms // DAY_MS * DAY_MS, max(to_ms, from_ms + 1), DAY_MS)
    pages = (store.query(Table.MEASURES, day_pk(day), limit=_TENANTS_MAX) for day in days)
    return sorted({tenant_of_day(item.key) for page in pages for item in page})


def _slices(store: ItemStore, tenant_id: str, from_ms: int, to_ms: int) -> Iterator[Item]:
    start, end = slice_start(from_ms), slice_start(to_ms)
    while page := store.query(Table.MEASURES, tenant_pk(tenant_id), limit=_PAGE, start=start):
        for item in page:
            if item.key.sk >= end:
                return
            yield item
        if len(page) < _PAGE:
            return
        start = f"{page[-1].key.sk}!"  # sorts right behind it


def _place(tenant_id: str, item: Item, by: By, from_ms: int, to_ms: int) -> _Place:
    at_ms, tier = slice_and_tier(item.key)
    if by == "minute":
        minute_ms = at_ms // MINUTE_MS * MINUTE_MS
        return tenant_id, None, minute_ms, minute_ms + MINUTE_MS
    return tenant_id, tier if by == "tenant_tier" else None, from_ms, to_ms


def _add(counted: Counter[str], attributes: Attributes) -> None:
    counted.update({name: value for name, value in attributes.items() if type(value) is int})


def _summary(place: _Place, counted: Counter[str], policy: Policy | None) -> Summary:
    tenant_id, tier, from_ms, to_ms = place
    buckets: dict[str, dict[int, int]] = {}
    for attribute, count in counted.items():
        named = bucket_named(attribute)
        if named is not None:
            buckets.setdefault(named[0], {})[named[1]] = count
    sums = {name: counted.get(code, 0) for name, code in SUMS.items()}
    token_ms = 0.0 if policy is None else policy.token_cost_ms
    return Summary(
        tenant_id=tenant_id,
        tier=tier,
        from_ms=from_ms,
        to_ms=to_ms,
        latencies={name: percentiles(buckets[name]) for name in DISTRIBUTIONS if name in buckets},
        counts={name: counted[code] for name, code in COUNTS.items() if counted.get(code)},
        slot_seconds=sums["slot_ms"] / 1_000,
        tokens=sums["tokens"],
        reserved_tokens=sums["reserved_tokens"],
        cost=(sums["slot_ms"] + sums["tokens"] * token_ms) / 1_000,
        weight=None if policy is None else policy.tenant(tenant_id).weight,
    )
