"""A plan as one transaction: what each shared item's operation says, and what a decision's own operations ask."""

from typing import Any

import pytest

from pushlane.model.attempt import Order, OutcomeKind
from pushlane.model.task import Status, Tier
from pushlane.ports import AnyOf, AtLeast, AtMost, Delete, Equals, Key, Missing, Put, Table, Update, Write
from pushlane.scheduling.decisions import (
    Complete,
    Decision,
    Dispatch,
    Fail,
    Plan,
    Retry,
)
from pushlane.scheduling.snapshot import (
    PoolSnapshot,
    ShapeView,
    WakeView,
)
from pushlane.state import keys
from pushlane.state.commit import OPERATIONS_MAX, Commit, compile_plan, slot_changes
from tests.unit.values import (
    NOW,
    POOL,
    a_finish,
    a_lane,
    an_agent,
    an_arrival,
    an_attempt,
    an_entry,
    an_expiry,
    an_outcome,
    dispatch_of,
    only_updates,
    park_of,
)


def compiled(
    snapshot: PoolSnapshot, *decisions: Decision, wake_due_ms: int | None = None, waits_on: tuple[str, ...] = ()
) -> Commit:
    return compile_plan(snapshot, Plan(decisions=decisions, wake_due_ms=wake_due_ms), NOW, wake_due_ms, waits_on)


def a_pool(*agents: Any, **more: Any) -> PoolSnapshot:
    return PoolSnapshot(pool=POOL, agents=agents or (an_agent(slots=3, used=1),), **more)


def a_dispatch(number: int = 1, agent_id: str = "one", handed_from: str | None = None) -> Dispatch:
    return dispatch_of(an_arrival(number), agent_id=agent_id, handed_from=handed_from)


def a_completion(number: int = 9) -> Complete:
    return Complete(finished=a_finish(number))


def agent_updates(commit: Commit) -> list[Key]:
    updates = only_updates(commit.operations, Table.SCHEDULER)
    return [key for key in updates if key.sk.startswith(keys.AGENT_PREFIX)]


def agent_update(commit: Commit, agent_id: str = "one") -> Update:
    return only_updates(commit.operations, Table.SCHEDULER)[keys.agent_key(POOL, agent_id)]


def test_a_reservation_holds_only_under_the_slots_that_were_read() -> None:
    update = agent_update(compiled(a_pool(), a_dispatch(1), a_dispatch(2)))
    assert update.add == {"used": 2, "revision": 1}
    assert update.conditions == (Equals("status", "ACTIVE"), Equals("slots", 3), AtMost("used", 1))


def test_a_release_never_counts_below_zero_and_asks_nothing_else() -> None:
    update = agent_update(compiled(a_pool(), a_completion(8), a_completion(9)))
    assert update.add == {"used": -2, "revision": 1}
    assert update.conditions == (AtLeast("used", 2),)


def test_a_handoff_releases_and_reserves_in_one_operation_and_bumps_the_revision() -> None:
    full = a_pool(an_agent(slots=3, used=3))
    update = agent_update(compiled(full, a_completion(), a_dispatch(handed_from="t-0009")))
    assert update.add == {"used": 0, "revision": 1}
    assert update.conditions == (
        AtLeast("used", 1),
        Equals("status", "ACTIVE"),
        Equals("slots", 3),
        AtMost("used", 3),
    )


def test_each_agent_has_its_own_operation() -> None:
    pool = a_pool(an_agent("one", slots=1), an_agent("two", slots=1))
    commit = compiled(pool, a_dispatch(1, "one"), a_dispatch(2, "two"))
    assert agent_update(commit, "one").add == agent_update(commit, "two").add == {"used": 1, "revision": 1}


def test_the_slot_of_an_agent_that_is_gone_is_not_counted() -> None:
    commit = compiled(a_pool(an_agent("two")), a_completion())
    assert agent_updates(commit) == [keys.agent_key(POOL, "one")]
    assert agent_update(commit).conditions == (AtLeast("used", 1),)
    assert slot_changes([a_completion(), a_dispatch(), a_dispatch(2)]) == {(POOL, "one"): 1}


def test_a_borrowed_agents_slot_is_taken_from_its_own_pool() -> None:
    lent = an_agent("lent", slots=2, pool="other")
    commit = compiled(a_pool(lent), dispatch_of(an_arrival(), agent_id="lent", agent_pool="other"))
    assert agent_updates(commit) == [keys.agent_key("other", "lent")]


def test_an_agent_that_was_not_in_the_snapshot_cannot_be_reserved() -> None:
    with pytest.raises(ValueError, match="not in the snapshot"):
        compiled(a_pool(an_agent("two")), a_dispatch())


def test_a_pools_mark_is_left_beside_what_it_waits_for() -> None:
    commit = compiled(a_pool(), park_of(an_arrival()), waits_on=("RESOURCE#browsers",))
    marks = [one for one in commit.operations if one.key == keys.waits_key("RESOURCE#browsers", POOL)]
    assert [type(one) for one in marks] == [Put]
    assert (len(commit.owners), commit.owners[commit.operations.index(marks[0])]) == (len(commit.operations), None)


def test_while_nobody_waits_a_dispatch_moves_no_clock_but_what_its_tenant_has_in_flight() -> None:
    updates = only_updates(compiled(a_pool(), a_dispatch()).operations, Table.SCHEDULER)
    account = updates[keys.account_key(POOL, Tier.NORMAL, "atlas")]
    assert (account.set, account.add) == ({}, {"uncharged_ms": 30_000})
    assert keys.tier_key(POOL, Tier.NORMAL) not in updates


def test_while_tasks_wait_a_dispatch_moves_its_tenants_clock_and_its_tiers() -> None:
    waiting = ShapeView(shape="s", capabilities=("gpu",), lanes={Tier.LOW: 1})
    charged = dispatch_of(an_arrival(), charged=True)
    updates = only_updates(compiled(a_pool(shapes=(waiting,)), charged).operations, Table.SCHEDULER)
    account = updates[keys.account_key(POOL, Tier.NORMAL, "atlas")]
    tier = updates[keys.tier_key(POOL, Tier.NORMAL)]
    assert (account.add, account.conditions) == ({"virtual_ms": 30_000, "charged_ms": 30_000}, ())
    assert (tier.add["served_ms"], tier.conditions) == (30_000, ())


@pytest.mark.parametrize(
    ("wake", "conditions"),
    [(WakeView(), (Missing("generation"),)), (WakeView(generation=7, due_ms=NOW), (Equals("generation", 7),))],
)
def test_a_wake_up_is_recorded_once_for_each_generation(wake: WakeView, conditions: tuple[Any, ...]) -> None:
    commit = compiled(a_pool(wake=wake), a_dispatch(), wake_due_ms=NOW + 5)
    update = only_updates(commit.operations, Table.SCHEDULER)[keys.wake_key(POOL)]
    assert update.set == {"due_ms": NOW + 5, "generation": wake.generation + 1}
    assert update.conditions == conditions
    assert compiled(a_pool(wake=wake), a_dispatch()).operations[-1].key != keys.wake_key(POOL)


def test_lanes_shapes_and_what_leaves_them_are_one_transaction() -> None:
    lane = a_lane(an_entry(1), an_entry(2))
    parks = [park_of(an_arrival(50 + n, tenant_id=tenant)) for n, tenant in enumerate("bcb")]
    commit = compiled(a_pool(lanes=(lane,)), *[dispatch_of(entry) for entry in lane.on_time], *parks)
    updates = only_updates(commit.operations, Table.SCHEDULER)
    assert updates[keys.lane_key(POOL, lane.ref)].add["depth"] == -2
    shape = updates[keys.shape_key(POOL, lane.ref.shape)]
    assert shape.add == {"lanes_normal": 1}  # two opened, one closed
    assert {one.key for one in deletes(commit)} == {keys.entry_key(POOL, entry) for entry in lane.on_time}


def test_what_does_not_fit_is_left_for_the_next_transaction() -> None:
    parks = [park_of(an_arrival(number, tenant_id=f"tenant-{number}")) for number in range(60)]
    commit = compiled(a_pool(), *parks, wake_due_ms=NOW)
    assert not commit.complete
    assert 10 <= len(commit.decisions) < 60
    assert len(commit.operations) <= OPERATIONS_MAX


def test_payloads_are_weighed_so_that_a_transaction_stays_under_four_megabytes() -> None:
    arrivals = [an_arrival(number, payload={"text": "x" * 300_000}) for number in range(15)]
    commit = compiled(a_pool(an_agent(slots=15)), *[dispatch_of(arrival) for arrival in arrivals])
    assert not commit.complete
    assert 1 < len(commit.decisions) * 300_000 < 3_600_000


def test_an_end_is_fenced_by_the_runners_own_word_or_by_the_exact_lease_that_ran_out() -> None:
    [ended] = deletes(compiled(a_pool(), a_completion()))
    assert {one.name for one in ended.conditions if isinstance(one, Equals)} == {"epoch", "runner", "outcome_digest"}
    assert ended.conditions[3:] == (Missing("gave_back"),)
    attempt = an_attempt(runner="call")
    expired = an_expiry(attempt=attempt)
    retry = Retry(ended=expired, entry=an_entry(epoch=1), due_ms=NOW + 9, error=error())
    [reclaimed] = deletes(compiled(a_pool(), retry))
    assert reclaimed.conditions == (
        Equals("epoch", 1),
        Equals("lease_until_ms", attempt.lease_until_ms),
        Equals("runner", "call"),
        Missing("outcome_digest"),
        Missing("checkpoint"),
        Missing("children"),
        AnyOf((Missing("order"), Equals("order", "preempt"))),
        Missing("gave_back"),
    )


def test_an_attempt_that_is_given_up_is_fenced_by_what_it_leaves_as_it_was_read() -> None:
    attempt = an_attempt(runner="call", checkpoint_json='{"page":4}', children=("t-child",))
    retry = Retry(ended=an_expiry(attempt=attempt), entry=an_entry(epoch=1), due_ms=NOW + 9, error=error())
    [reclaimed] = deletes(compiled(a_pool(), retry))
    assert Equals("checkpoint", '{"page":4}') in reclaimed.conditions
    assert Equals("children", ["t-child"]) in reclaimed.conditions


def test_a_lease_that_ended_after_a_cancel_is_fenced_by_what_was_read_of_it() -> None:
    expired = an_expiry(attempt=an_attempt(runner="call", order=Order.CANCEL))
    [reclaimed] = deletes(compiled(a_pool(), Fail(ended=expired, error=error(), status=Status.CANCELLED)))
    assert all(not isinstance(one, AnyOf) for one in reclaimed.conditions)


def deletes(commit: Commit) -> list[Delete]:
    return [one for one in commit.operations if isinstance(one, Delete)]


def error() -> Any:
    return an_outcome(OutcomeKind.FAILED).error


def test_a_retry_is_delayed_in_the_transaction_that_ends_its_attempt() -> None:
    expired = an_expiry(attempt=an_attempt(runner="call"))
    commit = compiled(a_pool(), Retry(ended=expired, entry=an_entry(epoch=1), due_ms=NOW + 9, error=error()))
    written: list[Write] = [one for one in commit.operations if one.key.pk == keys.delayed_pk(POOL)]
    assert [one.key for one in written] == [keys.delayed_key(POOL, NOW + 9, "t-0001")]
