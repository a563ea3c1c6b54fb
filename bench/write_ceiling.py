"""What a task writes, item by item, and how many a second one pool takes because of it: the tables of docs/capacity.md.

`python -m bench.write_ceiling --write` puts them into the page. Turns run on the in-memory store; what they change is
costed as DynamoDB bills and limits it.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from bench import behind_commit
from bench.pool_at_rest import Crowd
from bench.turns import CrowdedPool
from pushlane.inmemory.limits import item_bytes
from pushlane.ports import LOCAL_INDEXES, Attributes, Change, Key, Table
from pushlane.state import keys

PAGE: Final = Path(__file__).parents[1] / "docs" / "capacity.md"
BEGIN: Final = "<!-- python -m bench.write_ceiling --write -->"
END: Final = "<!-- end -->"

PARTITION_WCU: Final = 1_000  # writes a second of one partition, a single hot item included
CONFLICTS: Final = (30, 65)  # transactions a second that one item takes before they get in each other's way
AGENTS: Final = (1, 2, 4, 8, 16, 32, 64)
BATCHES: Final = (1, 10)
_TURNS: Final = 12
# Start and finish: a plain write each on the attempt, which moves it in the index of leases.
_AGENT_WORDS: Final = 2 * (1 + 2)


class Cost(Struct):
    """Of one kind of item, per decision: operations, write units, and transactions that touch one such item."""

    operations: float = 0.0
    units: float = 0.0


Costs = Mapping[str, Cost]

# What an item is, by the beginnings of its keys; in the order of the tables.
_KINDS: Final = (
    ("task", Table.TASKS, "", ""),
    ("attempt", Table.ATTEMPTS, "", ""),
    ("agent", Table.SCHEDULER, "POOL#", keys.AGENT_PREFIX),
    ("tier", Table.SCHEDULER, "POOL#", keys.TIER_PREFIX),
    ("shape, wake-up", Table.SCHEDULER, "POOL#", ""),
    ("lane", Table.SCHEDULER, "LANES#", ""),
    ("entry", Table.SCHEDULER, "Q#", ""),
    ("account", Table.SCHEDULER, "ACCOUNT#", ""),
)


def kind_of(key: Key) -> str:
    return next(
        name for name, table, pk, sk in _KINDS if key.table is table and key.pk.startswith(pk) and key.sk.startswith(sk)
    )


def units(change: Change, *, transaction: bool = True) -> int:
    """Write units of one change: of the item by its kilobytes, twice in a transaction; and of each local index, for an
    entry that comes, goes or changes, and for both when its key moves.
    """
    size = max(item_bytes(change.key, attributes) for attributes in (change.old or {}, change.new or {}))
    kilobytes = -(-size // 1_024)
    moved = sum(
        _index_writes(index_key.attribute, change.old or {}, change.new or {})
        for (table, _), index_key in LOCAL_INDEXES.items()
        if table is change.key.table
    )
    return kilobytes * ((2 if transaction else 1) + moved)


def _index_writes(attribute: str, old: Attributes, new: Attributes) -> int:
    before, after = old.get(attribute), new.get(attribute)
    if before is None or after is None:
        return int(before is not after)
    return 1 if before == after else 2


class _Recorded:
    """A crowded pool whose changes are kept."""

    def __init__(self, crowd: Crowd) -> None:
        self.changes: list[Change] = []
        self.pool = CrowdedPool(crowd, self.changes.append)

    def costs(self, what: str, batch: int) -> Costs:
        """Of each decision of `what`, in turns of so many, once the pool has got going."""
        totals: dict[str, Cost] = {}
        for turn in range(2 * _TURNS):
            inputs = self.pool.arrivals(batch) if what == "arrivals" else self.pool.completions(batch)
            self.changes.clear()
            self.pool.run(inputs)
            for change in self.changes if turn >= _TURNS else ():
                cost = totals.setdefault(kind_of(change.key), Cost())
                cost.operations += 1 / (batch * _TURNS)
                cost.units += units(change) / (batch * _TURNS)
            self._undo(what, batch)
        return totals

    def _undo(self, what: str, batch: int) -> None:
        """As many tasks wait, or slots are free, as before."""
        self.pool.run(self.pool.completions(batch) if what == "arrivals" else self.pool.arrivals(batch))


class Measured(Struct, frozen=True):
    """Costs of the four decisions that a task's life is made of, in turns of one size."""

    dispatch: Costs
    complete: Costs
    park: Costs
    handoff: Costs


def measure(batch: int) -> Measured:
    idle, busy = _Recorded(Crowd(0, 50)), _Recorded(Crowd(2_000, 50))
    idle.pool.run(idle.pool.completions(10))
    return Measured(
        dispatch=idle.costs("arrivals", batch),
        complete=idle.costs("completions", batch),
        park=busy.costs("arrivals", batch),
        handoff=busy.costs("completions", batch),
    )


def tables() -> str:
    """The generated part of the page."""
    measured = {batch: measure(batch) for batch in BATCHES}
    return "\n\n".join((_operations_table(measured), _ceiling_table(measured), behind_commit.table()))


def _operations_table(measured: Mapping[int, Measured]) -> str:
    columns = [(name, batch) for name in ("dispatch", "complete", "park", "handoff") for batch in BATCHES]
    head = ["| item |"] + [f" {name}, {batch} a turn |" for name, batch in columns]
    lines = ["".join(head), "|---" * (len(columns) + 1) + "|"]
    for kind in (kind for kind, *_ in _KINDS):
        cells = [getattr(measured[batch], name).get(kind, Cost()) for name, batch in columns]
        lines.append(f"| {kind} |" + "".join(f" {_pair(cost)} |" for cost in cells))
    sums = [getattr(measured[batch], name).values() for name, batch in columns]
    totals = [Cost(sum(c.operations for c in costs), sum(c.units for c in costs)) for costs in sums]
    return "\n".join([*lines, "| **all** |" + "".join(f" **{_pair(cost)}** |" for cost in totals)])


def _pair(cost: Cost) -> str:
    return f"{cost.operations:.1f} / {cost.units:.0f}" if cost.operations else ""


class Limit(Struct, frozen=True):
    """A rate of tasks, and what sets it."""

    tasks: float
    by: str


def ceiling(measured: Measured, agents: int, batch: int, conflicts: int, *, contended: bool) -> Limit:
    """Tasks a second of one pool, each with two decisions: dispatched and completed; or parked and handed a slot."""
    decisions = (measured.park, measured.handoff) if contended else (measured.dispatch, measured.complete)

    def spent(*kinds: str) -> float:
        return sum(costs[kind].units for costs in decisions for kind in kinds if kind in costs)

    # A turn's decisions go to the least loaded agents, so it touches as many agent items as it can.
    turns = sum("agent" in costs for costs in decisions) / batch
    touched = turns * min(batch, agents) / agents
    limits = [
        Limit(conflicts / touched, "agent items"),
        Limit(PARTITION_WCU / spent("agent", "tier", "shape, wake-up"), "the pool's partition"),
        Limit(keys.ATTEMPT_BUCKETS * PARTITION_WCU / (spent("attempt") + _AGENT_WORDS), "attempts"),
    ]
    if contended:
        limits.append(Limit(PARTITION_WCU / spent("lane"), "the lanes' partition"))
        limits.append(Limit(conflicts * batch, "the tier item"))
    if spent("account"):
        limits.append(Limit(keys.ACCOUNT_BUCKETS * PARTITION_WCU / spent("account"), "accounts"))
    return min(limits, key=lambda limit: limit.tasks)


def _ceiling_table(measured: Mapping[int, Measured]) -> str:
    columns = [(contended, batch) for contended in (False, True) for batch in BATCHES]
    names = {False: "slots are free", True: "tasks wait"}
    lines = [
        "| agents |" + "".join(f" {names[contended]}, {batch} a turn |" for contended, batch in columns),
        "|---" * (len(columns) + 1) + "|",
    ]
    for agents in AGENTS:
        cells = []
        for contended, batch in columns:
            low, high = (ceiling(measured[batch], agents, batch, rate, contended=contended) for rate in CONFLICTS)
            cells.append(f" {_range(low.tasks, high.tasks)} ({_both(low.by, high.by)}) |")
        lines.append(f"| {agents} |" + "".join(cells))
    return "\n".join(lines)


def _range(low: float, high: float) -> str:
    least, most = _about(low), _about(high)
    return f"{least}" if least == most else f"{least}-{most}"


def _about(tasks: float) -> int:
    """No more digits than the figures behind it bear."""
    return 10 * round(tasks / 10) if tasks >= 70 else round(tasks)


def _both(one: str, other: str) -> str:
    return one if one == other else f"{one}, then {other}"


def with_tables(page: str, generated: str) -> str:
    """The page with its generated part replaced."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{generated}\n\n{END}{after}"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/capacity.md")
    generated = tables()
    if parser.parse_args(arguments).write:
        PAGE.write_text(with_tables(PAGE.read_text(), generated))
    else:
        print(generated)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
