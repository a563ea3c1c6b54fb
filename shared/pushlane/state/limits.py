"""The shared counters' part of a transaction: tenants' limits, resources, accounts and tier clocks.

Limits are guarded by their own conditions, relative to what is allowed; accounts and clocks are advisory and are not.
"""

from pushlane.model.policy import Policy, SlotsOf, TenantPolicy
from pushlane.model.task import Tier
from pushlane.ports import AnyOf, AtLeast, AtMost, Condition, Equals, Missing, Update
from pushlane.scheduling.books import AccountChange, Advance, Books, ResourceChange, TenantChange, TierChange
from pushlane.scheduling.rates import gcra
from pushlane.scheduling.retry import retry_rate
from pushlane.scheduling.snapshot import AccountRef, AccountView, PoolSnapshot, ResourceView, TenantView
from pushlane.scheduling.windows import day_of, month_of
from pushlane.state import keys


def limit_operations(snapshot: PoolSnapshot, books: Books, now_ms: int) -> list[Update]:
    """One update for each account, tier clock, tenant and resource that the decisions change."""
    accounts = [_account(ref, change, snapshot, now_ms) for ref, change in sorted(books.accounts.items())]
    tiers = [_tier(snapshot.pool, tier, change) for tier, change in sorted(books.tiers.items())]
    tenants = [_tenant(tenant_id, change, snapshot, now_ms) for tenant_id, change in sorted(books.tenants.items())]
    resources = [
        _resource(ref, change, snapshot, now_ms) for ref, change in sorted(books.resources.items(), key=lambda i: i[0])
    ]
    homes = [
        Update(keys.account_key(*ref), add={"virtual_ms": charge}) for ref, charge in sorted(books.home_charges.items())
    ]
    return [update for update in (*accounts, *homes, *tiers, *tenants, *resources) if update.set or update.add]


def _account(ref: AccountRef, change: AccountChange, snapshot: PoolSnapshot, now_ms: int) -> Update:
    clocks = {
        "virtual_ms": change.virtual,
        "late_virtual_ms": change.late_virtual,
        "uncharged_ms": change.uncharged,
        "charged_ms": change.charged,
    }
    update = _clocks(Update(keys.account_key(snapshot.pool, *ref)), clocks)
    rate = retry_rate(snapshot.policy, ref[1])
    if rate is None or not change.retry_draw_us:
        return update
    now_us, seen_us = now_ms * 1_000, snapshot.accounts.get(ref, AccountView()).retry_tat_us
    # Either all of them fit into the burst, or they come at the times that follow from what was seen: then it stands.
    room_us = max(rate.burst_us - change.retry_draw_us, seen_us - now_us)
    set_: dict[str, int] = {}
    add: dict[str, int] = {}
    conditions = _gcra("retry_tat_us", seen_us, change.retry_draw_us, room_us, now_us, set_, add)
    return Update(update.key, set={**update.set, **set_}, add={**update.add, **add}, conditions=tuple(conditions))


def _tier(pool: str, tier: Tier, change: TierChange) -> Update:
    clocks = {
        "virtual_ms": change.virtual,
        "late_virtual_ms": change.late_virtual,
        "served_ms": change.served,
        "share_clock_ms": change.share_clock,
        "late_clock_ms": change.late_clock,
    }
    return _clocks(Update(keys.tier_key(pool, tier)), clocks)


def _clocks(update: Update, clocks: dict[str, Advance]) -> Update:
    """What only moves is added, so that turns side by side add up; what catches up is set."""
    return Update(
        update.key,
        set={name: clock.after for name, clock in clocks.items() if clock.start is not None},
        add={name: clock.moved for name, clock in clocks.items() if clock.start is None and clock.moved},
    )


def _tenant(tenant_id: str, change: TenantChange, snapshot: PoolSnapshot, now_ms: int) -> Update:
    rules, view = snapshot.policy.tenant(tenant_id), snapshot.tenants.get(tenant_id, TenantView())
    set_: dict[str, int] = {}
    add: dict[str, int] = {"revision": 1}
    conditions: list[Condition] = []
    if change.in_flight:
        add["in_flight"] = change.in_flight
    if rules.in_flight_max is not None and change.reserved:
        conditions.append(_room("in_flight", rules.in_flight_max - change.in_flight))
    if change.draw_us:
        _rate(rules, change, view, now_ms, set_, add, conditions)
    windows = (
        ("day", day_of(now_ms), view.day, change.day_tokens, rules.tokens_per_day),
        ("month", month_of(now_ms), view.month, change.month_tokens, rules.tokens_per_month),
    )
    for name, current, seen, tokens, budget in windows:
        if tokens:
            at_most = budget.hard - tokens if budget.hard is not None and change.reserved else None
            _window(name, current, seen, tokens, at_most, set_, add, conditions)
    return Update(keys.tenant_limits_key(tenant_id), set=set_, add=add, conditions=tuple(conditions))


def _room(name: str, at_most: int) -> Condition:
    return AnyOf((Missing(name), AtMost(name, at_most)))


def _rate(
    rules: TenantPolicy,
    change: TenantChange,
    view: TenantView,
    now_ms: int,
    set_: dict[str, int],
    add: dict[str, int],
    conditions: list[Condition],
) -> None:
    per_minute = rules.tasks_per_minute or 1
    rate = gcra(per_minute, rules.task_burst or per_minute)
    room_us = rate.burst_us - change.draw_us
    conditions += _gcra("rate_tat_us", view.rate_tat_us, change.draw_us, room_us, now_ms * 1_000, set_, add)


def _gcra(
    name: str,
    seen_us: int,
    draw_us: int,
    room_us: int | None,
    now_us: int,
    set_: dict[str, int],
    add: dict[str, int],
    refund_us: int = 0,
) -> list[Condition]:
    """The two guarded forms of a draw: the timestamp lies ahead of now and is moved, or behind and starts from now.

    `room_us`: how far ahead it may stand before the draw; None when nothing has to fit (a settlement).
    """
    if seen_us >= now_us:
        add[name] = draw_us - refund_us
        ahead: list[Condition] = [AtLeast(name, now_us + refund_us)]
        return ahead if room_us is None else [*ahead, AtMost(name, now_us + room_us)]
    set_[name] = now_us + draw_us
    return [AnyOf((Missing(name), AtMost(name, now_us)))]


def _window(
    name: str,
    current: int,
    seen: int,
    tokens: int,
    at_most: int | None,
    set_: dict[str, int],
    add: dict[str, int],
    conditions: list[Condition],
) -> None:
    """Tokens of the day or the month: counted on while it lasts, from zero when it is a new one. `at_most`: what may be
    used up before; None when nothing has to fit.
    """
    if seen == current:
        add[f"{name}_tokens"] = tokens
        conditions.append(Equals(name, current))
        if at_most is not None:
            conditions.append(AtMost(f"{name}_tokens", at_most))
        return
    set_[name], set_[f"{name}_tokens"] = current, max(0, tokens)
    conditions.append(AnyOf((Missing(name), AtMost(name, current - 1))))


def _resource(ref: tuple[str, int], change: ResourceChange, snapshot: PoolSnapshot, now_ms: int) -> Update:
    name, shard = ref
    now_us = now_ms * 1_000
    view = next((v for v in snapshot.resources if (v.name, v.shard) == ref), ResourceView(name=name, shard=shard))
    set_: dict[str, int] = {}
    add: dict[str, int] = {"revision": 1}
    conditions: list[Condition] = []
    if change.used:
        add["used"] = change.used
    if change.reserved_used:
        conditions.append(_room("used", _slots(snapshot.policy, name, change)))
    refund_us = min(change.refund_us, max(0, view.tat_us - now_us))  # it fills the bucket, and not beyond
    if change.draw_us or refund_us:
        conditions += _gcra("tat_us", view.tat_us, change.draw_us, change.admit_us, now_us, set_, add, refund_us)
    if change.admit_us is not None or change.reserved_used:
        conditions.append(AnyOf((Missing("paused_until_ms"), AtMost("paused_until_ms", now_ms))))
    if change.paused_until_ms is not None and change.paused_until_ms > view.paused_until_ms:
        set_["paused_until_ms"] = change.paused_until_ms
        conditions.append(_room("paused_until_ms", change.paused_until_ms))
    return Update(keys.resource_key(name, shard), set=set_, add=add, conditions=tuple(conditions))


def _slots(policy: Policy, name: str, change: ResourceChange) -> int:
    """How much may be in use before the change. A task that needs more than all of it runs alone."""
    rule = policy.resources.get(name)
    limit = rule.slots if isinstance(rule, SlotsOf) else 0
    return max(0, limit - change.used)
