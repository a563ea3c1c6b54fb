"""Facts that a commit makes true beside its tasks' changes: pressure, spent budgets, paused resources.

They are written without a condition: said twice they are one item, and the stream tells only its creation.
"""

from collections.abc import Sequence

from pushlane.model.events import FactName
from pushlane.model.ids import digest
from pushlane.model.policy import TokenBudget
from pushlane.ports import Put, Scalar
from pushlane.scheduling.books import Books
from pushlane.scheduling.snapshot import PoolSnapshot, TenantView
from pushlane.scheduling.windows import day_of, month_of
from pushlane.state.facts import fact_put
from pushlane.state.lanes import PressureChange


def notices(snapshot: PoolSnapshot, books: Books, pressures: Sequence[PressureChange], now_ms: int) -> list[Put]:
    """The facts of one commit."""
    found = [_pressure(snapshot.pool, change, now_ms) for change in pressures]
    found += [fact for tenant_id in sorted(books.tenants) for fact in _budgets(snapshot, books, tenant_id, now_ms)]
    paused = {name: change.paused_until_ms for (name, _), change in books.resources.items()}
    found += [
        _said(
            FactName.RESOURCE_PAUSED,
            (name, str(until_ms)),
            {"resource": name, "reason": f"{name}: a provider refused calls; paused until {until_ms}"},
            now_ms,
        )
        for name, until_ms in sorted(paused.items())
        if until_ms is not None
    ]
    return found


def _said(name: FactName, identity: tuple[str, ...], attributes: dict[str, Scalar], now_ms: int) -> Put:
    put = fact_put(name, digest(name.value, *identity), now_ms, attributes)
    return Put(put.key, put.attributes)


def _pressure(pool: str, change: PressureChange, now_ms: int) -> Put:
    lane = change.ref
    word = "slow down" if change.pressed else "go on"
    attributes: dict[str, Scalar] = {
        "pool": pool,
        "tenant_id": lane.tenant_id,
        "reason": f"{word}: {change.depth} tasks of tier {lane.tier} wait",
        "code": "on" if change.pressed else "off",
    }
    identity = (pool, lane.shape, lane.tier, lane.tenant_id, word, str(now_ms))
    return _said(FactName.BACKPRESSURE_CHANGED, identity, attributes, now_ms)


def _budgets(snapshot: PoolSnapshot, books: Books, tenant_id: str, now_ms: int) -> list[Put]:
    rules, view = snapshot.policy.tenant(tenant_id), snapshot.tenants.get(tenant_id, TenantView())
    change, day, month = books.tenants[tenant_id], day_of(now_ms), month_of(now_ms)
    windows = (
        ("day", day, view.day_tokens if view.day == day else 0, change.day_tokens, rules.tokens_per_day),
        ("month", month, view.month_tokens if view.month == month else 0, change.month_tokens, rules.tokens_per_month),
    )
    return [
        _said(
            FactName.BUDGET_EXCEEDED,
            (tenant_id, name, str(window)),
            {"tenant_id": tenant_id, "reason": f"{used + added} tokens this {name}, the soft budget is {budget.soft}"},
            now_ms,
        )
        for name, window, used, added, budget in windows
        if _crosses(used, added, budget)
    ]


def _crosses(used: int, added: int, budget: TokenBudget) -> bool:
    return budget.soft is not None and used <= budget.soft < used + added
