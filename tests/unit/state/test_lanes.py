"""A lane's one operation in every situation: what parks in it, what leaves it, and what turns see of it afterwards."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from pushlane.model.policy import Policy, PoolPolicy, TierPolicy
from pushlane.model.task import Tier
from pushlane.ports import AnyOf, AtLeast, Equals, Missing, Update
from pushlane.scheduling.books import Books
from pushlane.scheduling.decisions import Drop, FromLane
from pushlane.scheduling.entry import Entry, LaneRef, lane_of
from pushlane.scheduling.snapshot import (
    AccountView,
    DeadlineDue,
    LaneState,
    LaneView,
    PoolSnapshot,
    Ready,
    ShapeView,
)
from pushlane.state import keys
from pushlane.state.lanes import RELISTED_MAX, LaneLedger, PressureChange
from tests.unit.values import NOW, POOL, a_lane, an_arrival, an_entry, dispatch_of, park_of

REF = lane_of(an_entry())
LANE = keys.lane_key(POOL, REF)
SHAPE = keys.shape_key(POOL, REF.shape)
UNLISTED = AnyOf((Missing("listed"), Equals("listed", "")))
EMPTY = (UNLISTED, AnyOf((Missing("depth"), Equals("depth", 0))))
TURN = Equals("listed", "turn")
UNMOVED = AnyOf((Missing("revision"), Equals("revision", 0)))
KNOWN: dict[str, Any] = {"capabilities": ["work"], "resources": []}
# In a tier that serves what is feasible first; with the estimate of 30 s the first is on time, the second late.
FEASIBLE: dict[str, Any] = {"deadline_ms": NOW + 40_000}
LATE: dict[str, Any] = {"deadline_ms": NOW + 10_000}


def tag(value: int, tier: Tier = Tier.NORMAL) -> str:
    return keys.index_key(tier, value)


def urgent(number: int) -> str:
    return tag(an_entry(number).start_by_ms)


class Situation:
    """A ledger over one lane, or over what is known of a lane that was not looked at."""

    def __init__(
        self,
        *views: LaneView,
        state: LaneState | None = None,
        account: AccountView | None = None,
        policy: Policy | None = None,
        now_ms: int = NOW,
    ) -> None:
        self.snapshot = PoolSnapshot(
            pool=POOL,
            agents=(),
            policy=policy or Policy(),
            shapes=(ShapeView(shape=REF.shape, capabilities=("work",), lanes={Tier.NORMAL: 1}),),
            lanes=views,
            lane_states={} if state is None else {REF: state},
            accounts={} if account is None else {(Tier.NORMAL, "atlas"): account},
        )
        self.ledger = LaneLedger(self.snapshot, now_ms)
        self.books = Books(self.snapshot, now_ms)

    def take(self, entries: Sequence[Entry]) -> "Situation":
        for entry in entries:
            self._add(dispatch_of(entry))
        return self

    def park(self, *numbers: int, **changed: Any) -> "Situation":
        for number in numbers:
            self._add(park_of(an_arrival(number, **changed)))
        return self

    def _add(self, decision: Any) -> None:
        self.ledger.add(decision)
        self.books.add(decision)

    def operations(self) -> dict[str, Update]:
        made, _ = self.ledger.operations(self.books)
        assert len(made) <= self.ledger.size
        assert len({one.key for one in made}) == len(made)
        return {"lane" if one.key == LANE else "shape" if one.key == SHAPE else str(one.key): one for one in made}

    def pressures(self) -> list[PressureChange]:
        return self.ledger.operations(self.books)[1]


def entries(*numbers: int, **changed: Any) -> tuple[Entry, ...]:
    return tuple(an_entry(number, **changed) for number in numbers)


@pytest.mark.parametrize("state", [None, LaneState()])
def test_parking_in_an_empty_lane_opens_it_under_its_tenants_tag_and_its_first_entry(state: LaneState | None) -> None:
    made = Situation(state=state, account=AccountView(virtual_ms=77)).park(7, 3, 5).operations()
    assert made["lane"] == Update(
        LANE,
        set={"turn_key": tag(77), "urgent_key": urgent(3), "listed": "turn"},
        add={"depth": 3, "undated": 3, "revision": 1},
        conditions=EMPTY,
    )
    assert made["shape"] == Update(SHAPE, set=KNOWN, add={"lanes_normal": 1})


def test_a_lane_opens_where_its_tenant_starts() -> None:
    situation = Situation(account=AccountView(virtual_ms=77))
    situation._add(park_of(an_arrival(1), tag_ms=500))
    assert situation.operations()["lane"].set["turn_key"] == tag(500)


def test_parking_in_a_lane_that_is_not_empty_leaves_what_is_before_it_and_its_shape_alone() -> None:
    state = LaneState(depth=4, undated=4, turn_tag_ms=0, urgent_ms=an_entry(1).start_by_ms)
    made = Situation(state=state).park(7).operations()
    conditions = (TURN, AtLeast("depth", 1))
    assert made == {"lane": Update(LANE, add={"depth": 1, "undated": 1, "revision": 1}, conditions=conditions)}


def test_a_more_urgent_task_moves_its_lane_forward() -> None:
    state = LaneState(depth=4, undated=4, turn_tag_ms=0, urgent_ms=an_entry(9).start_by_ms)
    assert Situation(state=state).park(7).operations()["lane"].set == {"urgent_key": urgent(7)}


def test_taking_some_puts_the_next_entry_in_front_and_the_tenant_behind() -> None:
    lane = a_lane(*entries(1, 2, 3))
    situation = Situation(lane).take(())
    for entry in lane.on_time[:2]:
        situation._add(dispatch_of(entry, charged=True))
    made = situation.operations()
    assert made == {
        "lane": Update(
            LANE,
            set={"turn_key": tag(2 * lane.on_time[0].cost_ms), "urgent_key": urgent(3)},
            add={"depth": -2, "undated": -2, "revision": 1},
            conditions=(TURN, AtLeast("depth", 3)),
        )
    }


def test_taking_all_closes_the_lane_only_if_nobody_touched_it() -> None:
    lane = a_lane(*entries(1, 2))
    lane = msgspec.structs.replace(lane, state=msgspec.structs.replace(lane.state, revision=8))
    made = Situation(lane).take(lane.on_time).operations()
    assert made["lane"] == Update(
        LANE,
        set={"listed": ""},
        add={"depth": -2, "undated": -2, "revision": 1},
        remove=("turn_key", "urgent_key"),
        conditions=(TURN, Equals("depth", 2), Equals("revision", 8)),
    )
    expected = Update(SHAPE, set=KNOWN, add={"lanes_normal": -1}, conditions=(AtLeast("lanes_normal", 1),))
    assert made["shape"] == expected


def test_taking_all_and_parking_keeps_the_lane_open_under_what_was_parked() -> None:
    lane = a_lane(*entries(1, 2))
    made = Situation(lane).take(lane.on_time).park(9, 8).operations()
    update = made["lane"]
    assert (update.set["urgent_key"], update.remove) == (urgent(8), ())
    assert update.add == {"depth": 0, "revision": 1}
    assert update.conditions == (TURN, Equals("depth", 2))
    assert "shape" not in made


def test_taking_some_and_parking_keeps_what_was_there_in_front() -> None:
    lane = a_lane(*entries(1, 2, 3))
    update = Situation(lane).take(lane.on_time[:1]).park(9).operations()["lane"]
    assert update.set["urgent_key"] == urgent(2)
    assert (update.add, update.conditions) == ({"depth": 0, "revision": 1}, (TURN, AtLeast("depth", 2)))


def test_a_rest_that_was_not_read_keeps_the_lane_listed_under_the_last_that_was() -> None:
    lane = a_lane(*entries(1, 2), more=5)
    made = Situation(lane).take(lane.on_time).operations()
    update = made["lane"]
    assert (update.add["depth"], update.remove, update.conditions) == (-2, (), (TURN, AtLeast("depth", 3)))
    assert update.set["urgent_key"] == urgent(2)
    assert "shape" not in made


def test_a_task_with_a_deadline_is_listed_by_when_it_has_to_start() -> None:
    update = Situation().park(1, **FEASIBLE).operations()["lane"]
    assert update.set == {"turn_key": tag(0), "urgent_key": tag(NOW + 10_000), "listed": "turn"}
    assert update.add == {"depth": 1, "revision": 1}


def test_what_parks_late_is_listed_as_late_work_only() -> None:
    update = Situation(account=AccountView(virtual_ms=7, late_virtual_ms=55)).park(1, **LATE).operations()["lane"]
    assert update.set == {"late_key": tag(55), "listed": "late"}


def test_in_a_tier_that_keeps_its_order_late_work_is_listed_like_any() -> None:
    policy = Policy(tiers={Tier.NORMAL: TierPolicy(feasible_first=False)})
    update = Situation(policy=policy).park(1, **LATE).operations()["lane"]
    assert update.set == {"turn_key": tag(0), "urgent_key": tag(NOW - 20_000), "listed": "turn"}


def test_late_work_that_parks_beside_work_on_time_is_in_both_lists() -> None:
    state = LaneState(depth=1, undated=1, turn_tag_ms=0, urgent_ms=an_entry(1).start_by_ms)
    update = Situation(state=state).park(2, **LATE).operations()["lane"]
    assert (update.set, update.remove) == ({"late_key": tag(0), "listed": "turnlate"}, ())
    assert update.conditions == (TURN, AtLeast("depth", 1))


def test_the_last_late_task_takes_the_lane_off_the_late_list_only() -> None:
    lane = a_lane(*entries(1), late=entries(2, **LATE))
    update = Situation(lane).take(lane.late).operations()["lane"]
    assert (update.set, update.remove) == ({"listed": "turn"}, ("late_key",))
    assert update.conditions == (Equals("listed", "turnlate"), AtLeast("depth", 2), UNMOVED)


def test_the_last_task_on_time_takes_the_lane_off_the_list_by_turn_only() -> None:
    lane = a_lane(*entries(1), late=entries(2, **LATE))
    update = Situation(lane).take(lane.on_time).operations()["lane"]
    assert (update.set, set(update.remove)) == ({"listed": "late"}, {"turn_key", "urgent_key"})


def test_unread_late_work_keeps_the_lane_on_the_late_list() -> None:
    lane = a_lane(*entries(1), late=entries(2, **LATE), more_late=3)
    assert Situation(lane).take(lane.late).operations()["lane"].remove == ()


def test_a_lane_whose_tasks_became_late_since_it_was_listed_is_listed_as_such_by_whoever_looks() -> None:
    lane = msgspec.structs.replace(a_lane(*entries(1, **FEASIBLE)), on_time=(), late=entries(1, **FEASIBLE))
    situation = Situation(lane, now_ms=NOW + 10_001)
    assert situation.ledger.wrongly_listed(situation.books)
    assert situation.operations() == {
        "lane": Update(
            LANE,
            set={"late_key": tag(0), "listed": "late"},
            add={"revision": 1},
            remove=("turn_key", "urgent_key"),
            conditions=(TURN, AtLeast("depth", 1), UNMOVED),
        )
    }


def test_a_lane_that_was_left_behind_by_its_tenants_virtual_time_is_listed_anew() -> None:
    lane = a_lane(*entries(1), tag_ms=5)
    update = Situation(lane, account=AccountView(virtual_ms=90)).operations()["lane"]
    assert (update.set, update.remove) == ({"turn_key": tag(90)}, ())


def test_a_lane_that_is_listed_as_it_should_be_is_not_written() -> None:
    situation = Situation(a_lane(*entries(1, 2), late=entries(3, **LATE)))
    assert (situation.operations(), situation.ledger.wrongly_listed(situation.books)) == ({}, False)


def test_a_lane_in_which_a_clock_that_is_behind_finds_nothing_late_stays_on_the_late_list() -> None:
    """The turn stood still since it read the clock, and the tasks became late meanwhile."""
    lane = msgspec.structs.replace(a_lane(late=entries(1, **LATE)), late=())
    situation = Situation(lane)
    assert (situation.operations(), situation.ledger.wrongly_listed(situation.books)) == ({}, False)


def test_no_more_than_a_few_lanes_are_corrected_in_one_commit() -> None:
    lanes = [a_lane(an_entry(n, tenant_id=f"tenant-{n}"), tag_ms=99) for n in range(RELISTED_MAX + 4)]
    assert len(Situation(*lanes).operations()) == RELISTED_MAX


@pytest.mark.parametrize("origin", [FromLane(), DeadlineDue(an_entry())])
def test_what_expires_leaves_its_lane_like_what_is_dispatched(origin: FromLane | DeadlineDue) -> None:
    situation = Situation(a_lane(*entries(1)))
    situation._add(Drop(entry=an_entry(), origin=origin))
    assert situation.operations()["lane"].add == {"depth": -1, "undated": -1, "revision": 1}


def test_what_expires_from_a_lane_that_was_not_looked_at_leaves_it_listed() -> None:
    state = LaneState(depth=3, undated=2, turn_tag_ms=4, urgent_ms=5, late_tag_ms=6)
    situation = Situation(state=state)
    situation._add(Drop(entry=an_entry(**LATE), origin=DeadlineDue(an_entry(**LATE))))
    update = situation.operations()["lane"]
    assert (update.add, update.remove) == ({"depth": -1, "revision": 1}, ())


def test_a_turn_that_decides_nothing_about_lanes_writes_none() -> None:
    situation = Situation()
    situation._add(dispatch_of(an_arrival()))
    situation._add(dispatch_of(Ready(an_entry(2, epoch=1), due_ms=NOW)))
    situation._add(Drop(entry=an_entry(3), origin=an_arrival(3)))
    assert situation.operations() == {}
    assert situation.ledger.touched == []


def test_lanes_of_two_tenants_two_tiers_and_two_shapes_are_kept_apart() -> None:
    arrivals = [
        an_arrival(1, tenant_id="a"),
        an_arrival(2, tenant_id="b"),
        an_arrival(3, tenant_id="a", capabilities=("gpu",)),
        an_arrival(4, tenant_id="a"),
        an_arrival(5, tenant_id="a", tier=Tier.HIGH),
    ]
    situation = Situation()
    for arrival in arrivals:
        situation._add(park_of(arrival))
    made, _ = situation.ledger.operations(situation.books)
    depths = {one.key: one.add["depth"] for one in made if "depth" in one.add}
    assert depths == {
        keys.lane_key(POOL, lane_of(a.entry)): 2 if a in (arrivals[0], arrivals[3]) else 1 for a in arrivals
    }
    shapes = {one.key: one.add for one in made if one.key.sk.startswith(keys.SHAPE_PREFIX)}
    assert shapes == {
        SHAPE: {"lanes_normal": 2, "lanes_high": 1},
        keys.shape_key(POOL, arrivals[2].entry.shape): {"lanes_normal": 1},
    }
    assert situation.ledger.size >= len(made)


def test_a_tier_that_opens_while_another_closes_is_counted_by_itself() -> None:
    lane = a_lane(*entries(1))
    made = Situation(lane).take(lane.on_time).park(5, tier=Tier.HIGH).operations()
    assert made["shape"].add == {"lanes_normal": -1, "lanes_high": 1}
    assert made["shape"].conditions == (AtLeast("lanes_normal", 1),)


@pytest.mark.parametrize(
    ("depth", "pressed", "taken", "parked", "said"),
    [
        (6, False, 0, 1, None),
        (7, False, 0, 1, True),
        (8, True, 0, 1, None),
        (8, True, 2, 0, None),
        (6, True, 1, 0, False),
        (5, False, 1, 0, None),
    ],
)
def test_a_lane_that_crosses_a_mark_says_so_once(
    depth: int, pressed: bool, taken: int, parked: int, said: bool | None
) -> None:
    policy = Policy(pools={POOL: PoolPolicy(lane_max=10)})
    lane = a_lane(*entries(1, 2), more=depth - 2)
    lane = msgspec.structs.replace(lane, state=msgspec.structs.replace(lane.state, pressed=pressed))
    situation = Situation(lane, policy=policy).take(lane.on_time[:taken])
    if parked:
        situation.park(9)
    expected = [] if said is None else [PressureChange(REF, depth + parked - taken, said)]
    assert situation.pressures() == expected
    assert situation.operations()["lane"].set.get("pressed") == (None if said is None else int(said))


def test_a_lanes_key_names_its_tenant_and_tier() -> None:
    ref = LaneRef(shape="s", tier=Tier.LOW, tenant_id="a")
    assert keys.lane_ref("s", keys.lane_key(POOL, ref)) == ref
