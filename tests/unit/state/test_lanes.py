"""A lane's one operation in every situation: what parks in it, what leaves it, and what turns see of it afterwards."""

from collections.abc import Sequence

import pytest

from pushlane.ports import AnyOf, AtLeast, Equals, Missing, Update
from pushlane.scheduling.decisions import Dispatch, FromLane, Park, ParkReason
from pushlane.scheduling.snapshot import Arrival, Entry, LaneView, PoolSnapshot, RetryDue, entry_of
from pushlane.state import keys
from pushlane.state.lanes import LaneLedger
from tests.unit.values import NOW, POOL, a_task, an_entry

REF = keys.lane_of(an_entry())
LANE = keys.lane_key(POOL, REF)
SHAPE = keys.shape_key(POOL, REF.shape)
EMPTY = (AnyOf((Missing("depth"), Equals("depth", 0))),)


def operations(
    *,
    heads: Sequence[Entry] = (),
    more: int = 0,
    take: int = 0,
    park: Sequence[int] = (),
    depth: int | None = None,
) -> dict[str, Update]:
    """The ledger's operations for a lane with these heads and `more` unread behind them. `depth`: as read to park."""
    lanes: tuple[LaneView, ...] = ()
    if heads:
        lanes = (LaneView(ref=REF, depth=len(heads) + more, heads=tuple(heads), complete=not more),)
    ledger = LaneLedger(PoolSnapshot(pool=POOL, agents=(), lanes=lanes), {} if depth is None else {REF: depth})
    for entry in heads[:take]:
        ledger.add(Dispatch(entry=entry, epoch=1, agent_id="one", lease_until_ms=NOW, origin=FromLane()))
    for number in park:
        task = a_task(number)
        ledger.add(Park(entry=entry_of(task), reason=ParkReason.CAPACITY, origin=Arrival(task)))
    made = ledger.operations()
    assert len(made) <= ledger.size
    assert len({one.key for one in made}) == len(made)
    return {"lane" if one.key == LANE else "shape" if one.key == SHAPE else str(one.key): one for one in made}


def entries(*numbers: int) -> list[Entry]:
    return [an_entry(number) for number in numbers]


def order(number: int) -> str:
    return keys.entry_order(an_entry(number))


@pytest.mark.parametrize("depth", [None, 0])
def test_parking_in_an_empty_lane_opens_it_under_its_first_entry(depth: int | None) -> None:
    made = operations(park=[7, 3, 5], depth=depth)
    assert made["lane"] == Update(LANE, set={"turn_key": order(3)}, add={"depth": 3}, conditions=EMPTY)
    assert made["shape"] == Update(SHAPE, set={"capabilities": ["work"]}, add={"lanes": 1})


def test_parking_in_a_lane_that_is_not_empty_leaves_its_head_and_its_shape_alone() -> None:
    made = operations(park=[7], depth=4)
    assert made == {"lane": Update(LANE, add={"depth": 1}, conditions=(AtLeast("depth", 1),))}


def test_taking_some_puts_the_next_entry_in_front() -> None:
    made = operations(heads=entries(1, 2, 3), take=2)
    expected = Update(LANE, set={"turn_key": order(3)}, add={"depth": -2}, conditions=(AtLeast("depth", 3),))
    assert made == {"lane": expected}


def test_taking_all_closes_the_lane_only_if_that_is_really_all() -> None:
    made = operations(heads=entries(1, 2), take=2)
    assert made["lane"] == Update(LANE, add={"depth": -2}, remove=("turn_key",), conditions=(Equals("depth", 2),))
    expected = Update(SHAPE, set={"capabilities": ["work"]}, add={"lanes": -1}, conditions=(AtLeast("lanes", 1),))
    assert made["shape"] == expected


def test_taking_all_and_parking_keeps_the_lane_open_under_what_was_parked() -> None:
    made = operations(heads=entries(1, 2), take=2, park=[9, 8])
    expected = Update(LANE, set={"turn_key": order(8)}, add={"depth": 0}, conditions=(Equals("depth", 2),))
    assert made == {"lane": expected}


def test_taking_some_and_parking_keeps_what_was_there_in_front() -> None:
    made = operations(heads=entries(1, 2, 3), take=1, park=[9])
    expected = Update(LANE, set={"turn_key": order(2)}, add={"depth": 0}, conditions=(AtLeast("depth", 2),))
    assert made == {"lane": expected}


def test_a_rest_that_was_not_read_keeps_the_lane_open_right_behind_what_was_taken() -> None:
    made = operations(heads=entries(1, 2), more=5, take=2)
    update = made["lane"]
    assert (update.add, update.remove, update.conditions) == ({"depth": -2}, (), (AtLeast("depth", 3),))
    assert order(2) < str(update.set["turn_key"]) < order(3)
    assert "shape" not in made


def test_a_turn_that_decides_nothing_about_lanes_writes_none() -> None:
    ledger = LaneLedger(PoolSnapshot(pool=POOL, agents=()), {})
    task = a_task()
    ledger.add(Dispatch(entry=entry_of(task), epoch=1, agent_id="one", lease_until_ms=NOW, origin=Arrival(task)))
    ledger.add(
        Dispatch(entry=an_entry(2), epoch=2, agent_id="one", lease_until_ms=NOW, origin=RetryDue(an_entry(2), NOW))
    )
    assert (ledger.operations(), ledger.size) == ([], 0)


def test_lanes_of_two_tenants_and_two_shapes_are_kept_apart() -> None:
    tasks = [
        a_task(1, tenant_id="a"),
        a_task(2, tenant_id="b"),
        a_task(3, tenant_id="a", capabilities=("gpu",)),
        a_task(4, tenant_id="a"),
    ]
    ledger = LaneLedger(PoolSnapshot(pool=POOL, agents=()), {})
    for task in tasks:
        ledger.add(Park(entry=entry_of(task), reason=ParkReason.CAPACITY, origin=Arrival(task)))
    made = {one.key: one.add for one in ledger.operations()}
    shapes = {task.capabilities: entry_of(task).shape for task in tasks}
    assert made == {
        keys.lane_key(POOL, keys.lane_of(entry_of(tasks[0]))): {"depth": 2},
        keys.lane_key(POOL, keys.lane_of(entry_of(tasks[1]))): {"depth": 1},
        keys.lane_key(POOL, keys.lane_of(entry_of(tasks[2]))): {"depth": 1},
        keys.shape_key(POOL, shapes[("work",)]): {"lanes": 2},
        keys.shape_key(POOL, shapes[("gpu",)]): {"lanes": 1},
    }
    assert ledger.size >= len(made)
