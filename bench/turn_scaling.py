"""How a whole turn (load, plan, commit, push) scales with what waits: `python -m bench.turn_scaling`.

For each number of parked tasks and tenants a pool is filled, and turns run on it: ten completions that hand on their
slots, ten arrivals that have to wait, one completion. What passes through the store is counted, and must not exceed
limits that know nothing of the crowd; CPU time may double from the smallest crowd to the largest.
"""

import argparse
import gc
import json
import sys
from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter
from typing import Final

import msgspec
from msgspec import Struct

from bench.pool_at_rest import Crowd
from bench.turns import CrowdedPool, Measured
from pushlane.scheduling.snapshot import Input

PARKED: Final = (100, 10_000, 1_000_000)
TENANTS: Final = (1, 100, 5_000)
TURNS: Final = 40
WARM_UP_TURNS: Final = 5
GROWTH_MAX: Final = 2.0
PLAN_US_MAX: Final = 300.0


class Kind(Struct, frozen=True):
    """One kind of turn, and the most that may pass through the store in one: none depends on what waits."""

    name: str
    batch: int
    inputs: Callable[[CrowdedPool], list[Input]]
    reads_max: int
    items_max: int
    writes_max: int


KINDS: Final = (
    Kind("completions x10", 10, lambda pool: pool.completions(10), reads_max=38, items_max=400, writes_max=100),
    Kind("arrivals x10", 10, lambda pool: pool.arrivals(10), reads_max=4, items_max=50, writes_max=45),
    Kind("completion x1", 1, lambda pool: pool.completions(1), reads_max=13, items_max=100, writes_max=14),
    Kind("arrival x1", 1, lambda pool: pool.arrivals(1), reads_max=4, items_max=25, writes_max=8),
)


class Row(Struct, frozen=True):
    """The worst counts and the median times of one kind of turn in one crowd."""

    kind: str
    parked: int
    tenants: int
    reads: int
    items: int
    writes: int
    turn_us: float
    plan_us: float  # of each input of the batch


def rows_of(crowd: Crowd, turns: int = TURNS) -> list[Row]:
    """Fill a pool and run turns of every kind on it, in turn, so that about as many tasks wait at the end."""
    gc.disable()
    pool = CrowdedPool(crowd)
    gc.enable()
    gc.freeze()  # the crowd is no garbage: looking through it again and again would be what is measured
    measured: dict[str, list[Measured]] = {kind.name: [] for kind in KINDS}
    for number in range(WARM_UP_TURNS + turns):
        for kind in KINDS:
            one = pool.run(kind.inputs(pool))
            if number >= WARM_UP_TURNS:
                measured[kind.name].append(one)
    gc.unfreeze()
    return [_row(kind, crowd, measured[kind.name]) for kind in KINDS]


def _row(kind: Kind, crowd: Crowd, measured: Sequence[Measured]) -> Row:
    return Row(
        kind=kind.name,
        parked=crowd.parked,
        tenants=crowd.tenants,
        reads=max(one.counts.reads for one in measured),
        items=max(one.counts.items for one in measured),
        writes=max(one.counts.writes for one in measured),
        turn_us=median(one.turn_us for one in measured),
        plan_us=median(one.plan_us for one in measured) / kind.batch,
    )


def broken(rows: Sequence[Row]) -> list[str]:
    """What exceeds its limit, in words."""
    return [word for kind in KINDS for word in _broken(kind, [row for row in rows if row.kind == kind.name])]


def _broken(kind: Kind, rows: Sequence[Row]) -> list[str]:
    words = []
    for row in rows:
        where = f"{kind.name}, {row.parked} parked of {row.tenants} tenants"
        limits = (
            ("reads", row.reads, kind.reads_max),
            ("items read", row.items, kind.items_max),
            ("writes", row.writes, kind.writes_max),
            ("us in plan() for one input", row.plan_us, PLAN_US_MAX if kind.batch > 1 else float("inf")),
        )
        words += [f"{where}: {value:.0f} {name}, at most {limit:.0f}" for name, value, limit in limits if value > limit]
        least = next(one for one in rows if one.tenants == row.tenants)
        if row.turn_us > GROWTH_MAX * least.turn_us:
            words.append(f"{where}: {row.turn_us / least.turn_us:.1f} x the time of {least.parked} parked")
    return words


def _print(rows: Sequence[Row]) -> None:
    form = "{:<16}{:>8}{:>10}{:>7}{:>7}{:>8}{:>10}{:>14}"
    print(form.format("turn", "tenants", "parked", "reads", "items", "writes", "turn us", "plan us/input"))
    for one in sorted(rows, key=lambda row: (row.kind, row.tenants, row.parked)):
        counts = (one.reads, one.items, one.writes)
        print(form.format(one.kind, one.tenants, one.parked, *counts, f"{one.turn_us:.0f}", f"{one.plan_us:.0f}"))


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of tables")
    parser.add_argument("--parked", type=int, nargs="+", default=PARKED, help="numbers of parked tasks")
    options = parser.parse_args(arguments)
    rows: list[Row] = []
    for tenants in TENANTS:
        for parked in options.parked:
            began = perf_counter()
            rows += rows_of(Crowd(parked, tenants))
            print(f"{parked} parked of {tenants} tenants: {perf_counter() - began:.0f} s", file=sys.stderr)
    words = broken(rows)
    if options.json:
        print(json.dumps({"rows": msgspec.to_builtins(rows), "broken": words}, indent=2))
    else:
        _print(rows)
        print("\n".join(words) or "within all limits")
    return 1 if words else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
