"""What a whole turn reads and writes is bounded by limits that know nothing of the crowd that waits."""

from collections.abc import Mapping
from statistics import median

import pytest

from bench.pool_at_rest import NOW_MS, POLICY, Crowd, a_task
from bench.turn_scaling import KINDS, Row, broken, rows_of
from bench.turns import CrowdedPool
from pushlane.ports import Key, Scalar, Table
from pushlane.scheduling.decisions import ParkReason
from pushlane.scheduling.entry import entry_of
from pushlane.scheduling.snapshot import Arrival

# Why a task waits is told of each as it parks; a loaded crowd is told the same of all.
_TOLD = frozenset({"park_reason", "changed_at_ms"})


def contents(pool: CrowdedPool) -> Mapping[Key, Mapping[str, Scalar]]:
    items = [item for table in (Table.TASKS, Table.SCHEDULER) for item in pool.store.items(table)]
    return {
        item.key: {name: _same(value) for name, value in item.attributes.items() if name not in _TOLD} for item in items
    }


def _same(value: Scalar) -> Scalar:
    """Why an entry was parked first depends on who was there before it; for the crowd it is always capacity."""
    return value.replace(f'"{ParkReason.FAIRNESS}"', f'"{ParkReason.CAPACITY}"') if isinstance(value, str) else value


def test_a_loaded_crowd_is_what_parking_it_one_by_one_leaves() -> None:
    crowd = Crowd(23, 5)
    loaded, parked = CrowdedPool(crowd), CrowdedPool(Crowd(0, 5))
    number = 0
    for at, (tier, tenant_id, late) in enumerate(crowd.lanes):
        for _ in range(crowd.parked // len(crowd.lanes) + (at < crowd.parked % len(crowd.lanes))):
            task = a_task(number, tier, tenant_id, late, NOW_MS)
            parked.turn([Arrival(task, entry_of(task, POLICY))])
            number += 1
    assert number == crowd.parked
    assert contents(parked) == contents(loaded)


@pytest.mark.parametrize("tenants", [1, 100, 5_000])
def test_what_passes_through_the_store_is_bounded_whatever_waits(tenants: int) -> None:
    rows = [row for parked in (100, 10_000) for row in rows_of(Crowd(parked, tenants), turns=12)]
    for kind in KINDS:
        for row in (row for row in rows if row.kind == kind.name):
            assert row.reads <= kind.reads_max, row
            assert row.items <= kind.items_max, row
            assert row.writes <= kind.writes_max, row


def test_a_completion_under_contention_takes_ten_reads_as_a_rule() -> None:
    pool = CrowdedPool(Crowd(2_000, 100))
    for _ in range(5):
        pool.run(pool.arrivals(10))
        pool.run(pool.completions(10))
    assert median(pool.run(pool.completions(1)).counts.reads for _ in range(30)) <= 10


def row(**changed: float) -> Row:
    values = {"kind": KINDS[0].name, "parked": 100, "tenants": 1, "reads": 1, "items": 1, "writes": 1}
    return Row(**{**values, "turn_us": 100.0, "plan_us": 10.0, **changed})  # type: ignore[arg-type]  # a test's shorthand


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"reads": 1_000}, "reads"),
        ({"items": 10_000}, "items read"),
        ({"writes": 1_000}, "writes"),
        ({"plan_us": 301.0}, "plan()"),
        ({"turn_us": 201.0}, "x the time of 100 parked"),
    ],
)
def test_the_benchmark_says_which_limit_is_broken(changed: dict[str, float], said: str) -> None:
    assert broken([row(), row(parked=10_000)]) == []
    [word] = broken([row(), row(parked=10_000, **changed)])
    assert said in word
    assert "10000 parked" in word
