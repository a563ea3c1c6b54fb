"""Turns that park in, take from and relist the same lanes, from snapshots of any age: whatever commits, a lane that
holds entries is listed, and all of them are found again.
"""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec import Struct

from pushlane.inmemory import InMemoryItemStore, ManualClock
from pushlane.model.policy import Policy
from pushlane.model.task import Tier
from pushlane.ports import Table, TransactionCancelled, Write
from pushlane.scheduling.decisions import Decision, Drop, FromLane, Plan
from pushlane.scheduling.entry import entry_of
from pushlane.scheduling.snapshot import Arrival, PoolSnapshot
from pushlane.state.commit import compile_plan
from tests.unit.state.worlds import check_lanes, look
from tests.unit.values import NOW, a_task, agent_item, an_agent, park_of

POLICY = Policy()
# Two entries may be taken of a lane, so one of four holds entries that a look does not read.
SLOTS = 2
ROUNDS_MAX = 200
# Relative to now when it arrives; None: no deadline. The estimate is 30 s, so 20 s is late already.
DEADLINES_MS = st.sampled_from([None, 20_000, 31_000, 45_000, 600_000])
ARRIVALS = st.lists(st.tuples(st.sampled_from([Tier.NORMAL, Tier.CRITICAL]), st.sampled_from("ab"), DEADLINES_MS))


class Looked(Struct, frozen=True):
    """What a turn has read, and what it is about to park."""

    snapshot: PoolSnapshot
    arrivals: list[Arrival]
    now_ms: int


class SlipIn:
    """Runs a step once, before the n-th call of the store."""

    def __init__(self) -> None:
        self.step: Callable[[], None] | None = None
        self.after_calls = 0

    def before(self, name: str, operations: Sequence[Write]) -> None:
        self.after_calls -= 1
        if self.step is not None and self.after_calls < 0:
            step, self.step = self.step, None
            step()

    def after(self, name: str, operations: Sequence[Write]) -> None:
        """Nothing happens."""


class Lanes(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock(NOW)
        self.slip_in = SlipIn()
        self.store = InMemoryItemStore(self.clock, faults=self.slip_in)
        self.store.write(agent_item(an_agent(slots=SLOTS)))
        self.looked: list[Looked] = []
        self.tasks = 0
        self.commits = 0

    @rule(arriving=ARRIVALS)
    def look(self, arriving: list[tuple[Tier, str, int | None]]) -> None:
        self.looked.append(self._look(arriving))

    @rule(arriving=ARRIVALS, calls=st.integers(0, 8), taken=st.integers(0, 3))
    def look_while_another_turn_commits(
        self, arriving: list[tuple[Tier, str, int | None]], calls: int, taken: int
    ) -> None:
        """The reads of one look are not one moment."""
        if self.looked:
            other = self.looked.pop()
            self.slip_in.step, self.slip_in.after_calls = (lambda: self._commit(other, taken)), calls
        self.looked.append(self._look(arriving))
        self.slip_in.step = None

    @rule(at=st.integers(0, 9), taken=st.integers(0, 3))
    def commit(self, at: int, taken: int) -> None:
        """Any turn that has looked, however long ago: parks, takes some, or only corrects where lanes are listed."""
        if self.looked:
            self._commit(self.looked.pop(at % len(self.looked)), taken)

    @rule(seconds=st.integers(1, 60))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds * 1_000)

    @invariant()
    def every_lane_that_holds_entries_is_listed(self) -> None:
        check_lanes(self.store.items(Table.SCHEDULER))

    def teardown(self) -> None:
        """Turns one after the other find everything that waits."""
        for _ in range(ROUNDS_MAX):
            if not self._waiting():
                return
            self._commit(self._look([]), 3)
        raise AssertionError(f"never found: {self._waiting()}")

    def listed(self) -> dict[str, object]:
        """Where tenant a's lanes are listed, by tier."""
        lanes = [item for item in self.store.items(Table.SCHEDULER) if item.key.pk.startswith("LANES#")]
        return {item.key.sk.removesuffix("#a"): item.attributes["listed"] for item in lanes}

    def _waiting(self) -> list[str]:
        return [item.key.sk for item in self.store.items(Table.SCHEDULER) if item.key.pk.startswith("Q#")]

    def _look(self, arriving: list[tuple[Tier, str, int | None]]) -> Looked:
        now_ms = self.clock.now_ms()
        arrivals = []
        for tier, tenant_id, within_ms in arriving:
            self.tasks += 1
            deadline_ms = None if within_ms is None else now_ms + within_ms
            task = a_task(self.tasks, tier=tier, tenant_id=tenant_id, deadline_ms=deadline_ms, accepted_at_ms=now_ms)
            arrivals.append(Arrival(task, entry_of(task, POLICY)))
        return Looked(look(self.store, arrivals, POLICY, now_ms), arrivals, now_ms)

    def _commit(self, looked: Looked, taken: int) -> None:
        decisions: list[Decision] = [
            Drop(entry=entry, origin=FromLane())
            for lane in looked.snapshot.lanes
            for entry in (*lane.on_time, *lane.late)[:taken]
        ]
        decisions += [park_of(arrival) for arrival in looked.arrivals]
        plan = Plan(decisions=tuple(decisions), wake_due_ms=None)
        commit = compile_plan(looked.snapshot, plan, looked.now_ms, None)
        self.commits += 1
        if commit.operations:
            try:
                self.store.transact(commit.operations, f"commit-{self.commits}")
            except TransactionCancelled:
                return  # the turn would look again


TestLanes = Lanes.TestCase
TestLanes.settings = settings(
    max_examples=60, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@pytest.mark.parametrize("calls", range(12))
def test_a_look_in_which_a_lane_was_emptied_and_filled_again_unlists_nothing(calls: int) -> None:
    """Its depth is the same again when the look commits, with another task."""
    lanes = Lanes()
    lanes._commit(lanes._look([(Tier.NORMAL, "a", None)]), 0)
    other = lanes._look([])
    lanes.slip_in.step, lanes.slip_in.after_calls = (lambda: lanes._commit(other, 1)), calls
    torn = lanes._look([])
    lanes.slip_in.step = None
    lanes._commit(lanes._look([(Tier.NORMAL, "a", None)]), 0)
    lanes._commit(torn, 0)
    lanes.every_lane_that_holds_entries_is_listed()
    lanes.teardown()


def test_late_work_becomes_late_without_a_write_and_is_then_listed_as_such() -> None:
    lanes = Lanes()
    lanes._commit(lanes._look([(Tier.NORMAL, "a", 45_000), (Tier.CRITICAL, "a", 45_000)]), 0)
    assert lanes.listed() == {"normal": "turn", "critical": "turn"}
    lanes.clock.advance(15_001)
    lanes._commit(lanes._look([]), 0)
    assert lanes.listed() == {"normal": "late", "critical": "turn"}
    lanes._commit(lanes._look([(Tier.NORMAL, "a", None)]), 0)
    assert lanes.listed() == {"normal": "turnlate", "critical": "turn"}
    lanes.every_lane_that_holds_entries_is_listed()
