"""What the demonstration leaves behind and prints: `report.json` and the table of tenants."""

from typing import Any

import msgspec
from msgspec import Struct

from pushlane.local.demo import account
from pushlane.local.demo.account import Observed, TenantRow
from pushlane.local.demo.ledger import Ledger
from pushlane.local.percentiles import Percentiles
from pushlane.local.pickup import PickupComparison
from pushlane.model.task import FAILURES


class Durations(Struct, frozen=True, kw_only=True):
    """How long the run took, in seconds: deploying (with the start of the local AWS), and all of it."""

    deploy_s: float
    total_s: float


def report(ledger: Ledger, observed: Observed, comparison: PickupComparison, durations: Durations) -> dict[str, Any]:
    """`report.json`: counts; times in milliseconds unless the name ends in `_s`; and every broken promise by name."""
    ended = [observed.records[i] for i in ledger.submitted if i in observed.records]
    chained = ledger.chained_ids
    return {
        "submitted": len(ledger.submitted),
        "succeeded": account.succeeded(ledger, observed),
        "failed": sum(record.status in FAILURES for record in ended),
        "lost": len(account.lost(ledger, observed)),
        "sent_twice": len(ledger.repeated),
        "chained": {"expected": len(chained), "ended": len(chained) - len(account.unended(chained, observed))},
        "live_reservations": observed.live_reservations,
        "slots_in_use": observed.slots_in_use,
        "dlq_depth": observed.dlq_depth,
        "quarantine_depth": observed.quarantine_depth,
        "duplicate_effects": len(observed.duplicate_effects),
        "facts_missing": len(observed.facts_missing),
        "doors": ledger.doors,
        "failed_on_purpose": msgspec.to_builtins(account.failed_on_purpose(ledger, observed)),
        "failed_unexpectedly": account.failed_unexpectedly(ledger, observed),
        "pickup_ms": _pickup(ledger, observed, comparison),
        "problems": account.problems(ledger, observed),
        **{name: round(value, 1) for name, value in msgspec.structs.asdict(durations).items()},
    }


def table(rows: list[TenantRow]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Headings and rows, as text; all times in milliseconds."""
    headings = ("tenant", "tasks", "succeeded", "pickup p50", "p95", "p99", "run p50", "p99")
    return headings, [
        (
            row.tenant_id,
            str(row.tasks),
            str(row.succeeded),
            *(f"{value:.0f}" for value in (row.pickup.p50, row.pickup.p95, row.pickup.p99, row.run.p50, row.run.p99)),
        )
        for row in rows
    ]


def _pickup(ledger: Ledger, observed: Observed, comparison: PickupComparison) -> dict[str, Any]:
    """`all` and `by_tenant`: under the run's own load; `low_load` and the floors were measured alike, one at a time."""
    rows = account.tenant_rows(ledger, observed)
    return {
        "all": msgspec.to_builtins(Percentiles.of(account.pickups_ms(ledger, observed))),
        "by_tenant": {row.tenant_id: msgspec.to_builtins(row.pickup) for row in rows},
        "low_load": msgspec.to_builtins(comparison.pushlane),
        "low_load_clock": comparison.clock,
        "floor": msgspec.to_builtins(comparison.floor),
        "ratio_p50": comparison.ratio_p50,
        "ratio_p99": comparison.ratio_p99,
        "committing_floor": msgspec.to_builtins(comparison.committing_floor),
        "ratio_to_committing_floor_p50": comparison.ratio_to_committing_floor_p50,
        "ratio_to_committing_floor_p99": comparison.ratio_to_committing_floor_p99,
    }
