"""A decision's own operations: each change of a task is fenced by status and epoch, and only the table's are made."""

from typing import Any

import msgspec
import pytest

from pushlane.model.attempt import ErrorDetail, Hold, OutcomeKind, Waited
from pushlane.model.task import TRANSITIONS, DeadlineKind, Status
from pushlane.ports import Absent, Delete, Equals, Item, Key, Missing, Present, Put, Table, Update, Write
from pushlane.scheduling.decisions import (
    Block,
    Complete,
    Decision,
    Drop,
    Fail,
    FromLane,
    GiveBack,
    Park,
    ParkReason,
    Preempt,
    Repush,
    Retry,
    Suspend,
)
from pushlane.scheduling.entry import Entry
from pushlane.scheduling.pickup import parked_entry
from pushlane.scheduling.snapshot import (
    Arrival,
    DeadlineDue,
    Ended,
    Finished,
    GivesBack,
    Ready,
    Running,
    Withdraw,
)
from pushlane.state import keys
from pushlane.state.changes import own_operations
from pushlane.state.dead import bring_back, give_up
from pushlane.state.items import attempt_of, entry_of_item
from pushlane.state.transitions import RETENTION_SECONDS
from tests.unit.values import (
    NOW,
    POOL,
    a_finish,
    a_reservation,
    an_arrival,
    an_attempt,
    an_entry,
    an_expiry,
    an_outcome,
    dispatch_of,
    park_of,
)

ERROR = ErrorDetail(error_type="Boom", message="boom")
FINISHED = msgspec.structs.replace(a_finish(), epoch=2)
FAILED = msgspec.structs.replace(FINISHED, outcome=an_outcome(OutcomeKind.FAILED))
YIELDED = msgspec.structs.replace(FINISHED, outcome=an_outcome(OutcomeKind.YIELDED, checkpoint={"page": 7}))
SUSPENDED = msgspec.structs.replace(FINISHED, outcome=an_outcome(OutcomeKind.SUSPENDED, checkpoint={"page": 7}))
EXPIRED = an_expiry(attempt=an_attempt(epoch=2, runner="call"))
SILENT_IN_A_WAIT = an_expiry(attempt=an_attempt(epoch=2, runner="call", waited=Waited(gave_back=1)))
PINNED = msgspec.structs.replace(an_entry(epoch=2), runner="call")
ARRIVAL = an_arrival()
DUE = Ready(an_entry(epoch=2), due_ms=NOW - 5)
HARD: dict[str, Any] = {"deadline_ms": NOW + 60_000, "deadline_kind": DeadlineKind.HARD}


def from_lane(epoch: int = 0, **changed: Any) -> Entry:
    return an_entry(epoch=epoch, **changed)


def a_retry(ended: Ended, **changed: Any) -> Retry:
    return Retry(ended=ended, entry=an_entry(epoch=2), due_ms=NOW + 9, error=ERROR, **changed)


def a_death(ended: Ended) -> Fail:
    return Fail(ended=ended, error=ERROR, status=Status.DEAD_LETTERED, entry=an_entry(epoch=2))


def held_back(before: Status, **changed: Any) -> Ready:
    return Ready(an_entry(**changed), before, since_ms=NOW - 40)


def withdrawn(before: Status, status: Status) -> Drop:
    """A task without an attempt that is cancelled, or whose parents failed."""
    gone = Withdraw(an_entry(), before, status, ERROR)
    return Drop(entry=gone.entry, origin=gone, status=status, error=ERROR)


def missed(before: Status) -> Drop:
    return Drop(entry=an_entry(), origin=DeadlineDue(an_entry(), before))


def a_yield(ended: Finished = YIELDED, **changed: Any) -> Park:
    entry = msgspec.structs.replace(an_entry(epoch=2, **changed), uncounted=1)
    return Park(entry=entry, block=Block(ParkReason.PRIORITY), origin=ended)


def waited(ended: Finished) -> Finished:
    """It ended while it held nothing: its reservation was given back for its first wait."""
    return msgspec.structs.replace(ended, waited=Waited(gave_back=1))


MOVES: list[tuple[Decision, Status, int, Status]] = [
    (dispatch_of(from_lane()), Status.PARKED, 0, Status.DISPATCHED),
    (dispatch_of(DUE), Status.RETRYING, 2, Status.DISPATCHED),
    (park_of(DUE), Status.RETRYING, 2, Status.PARKED),
    (a_yield(), Status.DISPATCHED, 2, Status.PARKED),
    (Complete(finished=FINISHED), Status.DISPATCHED, 2, Status.SUCCEEDED),
    (a_retry(FAILED), Status.DISPATCHED, 2, Status.RETRYING),
    (a_retry(EXPIRED), Status.DISPATCHED, 2, Status.RETRYING),
    (Fail(ended=FAILED, error=ERROR), Status.DISPATCHED, 2, Status.FAILED),
    (Fail(ended=EXPIRED, error=ERROR), Status.DISPATCHED, 2, Status.FAILED),
    (Fail(ended=FAILED, error=ERROR, status=Status.EXPIRED), Status.DISPATCHED, 2, Status.EXPIRED),
    (Drop(entry=an_entry(), origin=FromLane()), Status.PARKED, 0, Status.EXPIRED),
    (Drop(entry=an_entry(), origin=DeadlineDue(an_entry())), Status.PARKED, 0, Status.EXPIRED),
    (Drop(entry=DUE.entry, origin=DUE), Status.RETRYING, 2, Status.EXPIRED),
    (a_death(FAILED), Status.DISPATCHED, 2, Status.DEAD_LETTERED),
    (Fail(ended=FAILED, error=ERROR, status=Status.CANCELLED), Status.DISPATCHED, 2, Status.CANCELLED),
    (Suspend(ended=SUSPENDED, entry=an_entry(epoch=2), due_ms=NOW + 9), Status.DISPATCHED, 2, Status.SUSPENDED),
    *((dispatch_of(held_back(before)), before, 0, Status.DISPATCHED) for before in (Status.BLOCKED, Status.SUSPENDED)),
    *((park_of(held_back(before)), before, 0, Status.PARKED) for before in (Status.BLOCKED, Status.SUSPENDED)),
    *((missed(before), before, 0, Status.EXPIRED) for before in (Status.BLOCKED, Status.SUSPENDED)),
    *(
        (withdrawn(before, Status.CANCELLED), before, 0, Status.CANCELLED)
        for before in (Status.BLOCKED, Status.SUSPENDED, Status.PARKED, Status.RETRYING)
    ),
    (withdrawn(Status.BLOCKED, Status.FAILED), Status.BLOCKED, 0, Status.FAILED),
    (GiveBack(gives=GivesBack(an_attempt(epoch=2, runner="call"))), Status.DISPATCHED, 2, Status.WAITING),
]
# It gave everything back, and has not asked for it again.
IN_A_WAIT: list[tuple[Decision, Status]] = [
    (dispatch_of(msgspec.structs.replace(held_back(Status.WAITING, epoch=2), entry=PINNED)), Status.DISPATCHED),
    (a_yield(waited(YIELDED)), Status.PARKED),
    (a_retry(SILENT_IN_A_WAIT), Status.RETRYING),
    (Complete(finished=waited(FINISHED)), Status.SUCCEEDED),
    (Suspend(ended=waited(SUSPENDED), entry=an_entry(epoch=2), due_ms=NOW + 9), Status.SUSPENDED),
    (a_death(SILENT_IN_A_WAIT), Status.DEAD_LETTERED),
    (Fail(ended=waited(FAILED), error=ERROR), Status.FAILED),
    (Fail(ended=SILENT_IN_A_WAIT, error=ERROR, status=Status.EXPIRED), Status.EXPIRED),
    (Fail(ended=SILENT_IN_A_WAIT, error=ERROR, status=Status.CANCELLED), Status.CANCELLED),
]
# What is brought back or given up is no decision of a turn: `pushlane.state.dead`.
AT_REST = {"ended_at_ms": NOW - 9}
OF_THE_DEAD: list[tuple[Write, Status]] = [
    (bring_back(an_entry(epoch=2), POOL, AT_REST, NOW, NOW)[0], Status.RETRYING),
    (give_up(an_entry(epoch=2), POOL, AT_REST, Status.FAILED, ERROR, NOW)[0], Status.FAILED),
    (give_up(an_entry(epoch=2), POOL, AT_REST, Status.CANCELLED, ERROR, NOW)[0], Status.CANCELLED),
]


def operations(decision: Decision) -> list[Write]:
    made = own_operations(decision, POOL, NOW)
    assert len({one.key for one in made}) == len(made)
    return made


def task_update(decision: Decision) -> Update:
    first = operations(decision)[0]
    assert isinstance(first, Update)
    assert first.key == keys.task_key("t-0001")
    return first


@pytest.mark.parametrize(("decision", "before", "epoch", "after"), MOVES)
def test_every_change_of_a_task_is_fenced_by_its_status_and_epoch(
    decision: Decision, before: Status, epoch: int, after: Status
) -> None:
    update = task_update(decision)
    assert update.conditions == (Equals("status", before.value), Equals("epoch", epoch))
    assert update.set["status"] == after.value


@pytest.mark.parametrize(("decision", "after"), IN_A_WAIT)
def test_what_befalls_an_attempt_that_holds_nothing_is_fenced_by_its_not_asking_again(
    decision: Decision, after: Status
) -> None:
    update = task_update(decision)
    assert update.conditions == (Equals("status", "WAITING"), Equals("epoch", 2), Missing("waits_at"))
    assert update.set["status"] == after.value


@pytest.mark.parametrize(("update", "after"), OF_THE_DEAD)
def test_the_dead_are_brought_back_or_given_up_under_the_same_fence(update: Write, after: Status) -> None:
    assert isinstance(update, Update)
    assert update.conditions == (Equals("status", "DEAD_LETTERED"), Equals("epoch", 2))
    assert update.set["status"] == after.value


def test_together_they_make_every_transition_of_the_table() -> None:
    made = {(before, after) for _, before, _, after in MOVES}
    made |= {(Status.WAITING, after) for _, after in IN_A_WAIT}
    made |= {(Status.DEAD_LETTERED, after) for _, after in OF_THE_DEAD}
    assert made == {(before, after) for before, to in TRANSITIONS.items() for after in to}


@pytest.mark.parametrize(
    ("decision", "status", "epoch"),
    [
        (dispatch_of(ARRIVAL), "DISPATCHED", 1),
        (park_of(ARRIVAL), "PARKED", 0),
        (Drop(entry=ARRIVAL.entry, origin=ARRIVAL), "EXPIRED", 0),
    ],
)
def test_a_new_task_is_put_only_if_there_is_none(decision: Decision, status: str, epoch: int) -> None:
    first = operations(decision)[0]
    assert isinstance(first, Put)
    assert first.conditions == (Absent(),)
    assert (first.attributes["status"], first.attributes["epoch"]) == (status, epoch)


@pytest.mark.parametrize("origin", [ARRIVAL, from_lane(), DUE])
def test_a_dispatch_reserves_under_a_new_epoch_and_only_if_no_attempt_is_live(
    origin: Arrival | Entry | Ready,
) -> None:
    decision = dispatch_of(origin, holds=(Hold("llm-tpm", 500, 1),), charged=True, cost_ms=77)
    reservation = operations(decision)[1]
    assert isinstance(reservation, Put)
    assert reservation.key == keys.attempt_key(POOL, "t-0001")
    assert reservation.conditions == (Absent(),)
    attempt = attempt_of(item_of(reservation))
    assert (attempt.epoch, attempt.lease_until_ms) == (decision.epoch, NOW + 1)
    assert attempt.reservation == decision.reservation


def item_of(put: Put) -> Item:
    return Item(put.key, put.attributes)


ENTRY = keys.entry_key(POOL, an_entry())
# No order was given for it since it was read.
AS_SEEN = (Present(), Missing("victim"))
HARD_ENTRY = an_entry(**HARD)
DELAYED = keys.delayed_key(POOL, NOW - 5, "t-0001")


@pytest.mark.parametrize(
    ("decision", "left"),
    [
        (dispatch_of(from_lane()), [ENTRY]),
        (dispatch_of(DUE), [DELAYED]),
        (park_of(DUE), [DELAYED]),
        (Drop(entry=DUE.entry, origin=DUE), [DELAYED]),
        (Drop(entry=an_entry(), origin=FromLane()), [ENTRY]),
        (dispatch_of(HARD_ENTRY), [keys.entry_key(POOL, HARD_ENTRY), keys.expiry_key(POOL, HARD_ENTRY)]),
        (
            Drop(entry=HARD_ENTRY, origin=DeadlineDue(HARD_ENTRY)),
            [keys.entry_key(POOL, HARD_ENTRY), keys.expiry_key(POOL, HARD_ENTRY)],
        ),
    ],
)
def test_what_waited_leaves_where_it_waited_and_only_once(decision: Decision, left: list[Key]) -> None:
    gone = [one for one in operations(decision) if isinstance(one, Delete)]
    assert [one.key for one in gone] == left
    assert gone[0].conditions == ((Present(),) if left == [DELAYED] else AS_SEEN)


@pytest.mark.parametrize("changed", [{}, HARD])
@pytest.mark.parametrize("kind", ["arrival", "retry", "yield"])
def test_what_parks_stands_in_its_lane_and_a_hard_deadline_beside_the_delayed(
    kind: str, changed: dict[str, Any]
) -> None:
    decisions: dict[str, Park] = {
        "arrival": park_of(an_arrival(**changed)),
        "retry": park_of(Ready(an_entry(epoch=2, **changed), due_ms=NOW - 5)),
        "yield": a_yield(**changed),
    }
    parked = decisions[kind]
    puts = {one.key: one for one in operations(parked) if isinstance(one, Put) and one.key.table is Table.SCHEDULER}
    expected = [keys.entry_key(POOL, parked.entry)]
    expected += [keys.expiry_key(POOL, parked.entry)] if changed else []
    assert list(puts) == expected
    assert puts[expected[0]].conditions == (Absent(),)
    assert all(entry_of_item(item_of(put)) == parked_entry(parked, NOW) for put in puts.values())


def test_a_yielded_attempt_ends_and_its_checkpoint_is_kept_with_the_task() -> None:
    update = task_update(a_yield())
    assert (update.set["checkpoint"], update.set["uncounted"]) == ('{"page":7}', 1)
    [ended] = [one for one in operations(a_yield()) if isinstance(one, Delete)]
    assert ended.key == keys.attempt_key(POOL, "t-0001")
    assert {one.name for one in ended.conditions if isinstance(one, Equals)} == {"epoch", "runner", "outcome_digest"}


def test_an_order_to_yield_is_written_on_both_and_only_if_neither_moved() -> None:
    victim = Running(task_id="t-0009", epoch=3, reservation=a_reservation())
    ordered, marked = own_operations(Preempt(victim=victim, waiter=an_entry()), POOL, NOW)
    assert isinstance(ordered, Update)
    assert (ordered.key, ordered.set) == (
        keys.attempt_key(POOL, "t-0009"),
        {"order_for": "t-0001", "order": "preempt"},
    )
    still = (Equals("epoch", 3), Missing("order"), Missing("outcome_digest"), Missing("gave_back"))
    assert ordered.conditions == still
    assert marked == Update(ENTRY, set={"victim": "t-0009"}, conditions=AS_SEEN)


def test_what_leaves_its_lane_with_an_order_out_leaves_it_under_that_order() -> None:
    asked = msgspec.structs.replace(an_entry(), victim="t-0009")
    [gone] = [one for one in operations(dispatch_of(asked)) if isinstance(one, Delete)]
    assert gone.conditions == (Present(), Equals("victim", "t-0009"))


def test_an_order_for_a_task_with_a_hard_deadline_is_known_where_it_expires() -> None:
    victim = Running(task_id="t-0009", epoch=3, reservation=a_reservation())
    made = own_operations(Preempt(victim=victim, waiter=HARD_ENTRY), POOL, NOW)
    assert made[2] == Update(keys.expiry_key(POOL, HARD_ENTRY), set={"victim": "t-0009"}, conditions=(Present(),))


@pytest.mark.parametrize("origin", [from_lane(), DUE])
def test_a_new_attempt_sheds_the_times_of_the_last_one(origin: Entry | Ready) -> None:
    gone = task_update(dispatch_of(origin)).remove
    times = {"queued_at_ms", "started_at_ms", "finished_at_ms"}
    assert set(gone) == {"due_ms", "waits_at", "awaits", "park_reason"} | times


@pytest.mark.parametrize(
    "decision",
    [
        Complete(finished=FINISHED),
        Fail(ended=EXPIRED, error=ERROR),
        Drop(entry=an_entry(), origin=FromLane()),
    ],
)
def test_an_end_is_kept_for_its_time_and_then_forgotten(decision: Decision) -> None:
    told = task_update(decision).set
    assert (told["ended_at_ms"], told["expires_at_s"]) == (NOW, NOW // 1_000 + RETENTION_SECONDS)


def test_a_push_that_is_repeated_holds_only_for_the_lease_that_was_read_and_if_nobody_started() -> None:
    expired = an_expiry()
    [update] = operations(Repush(expired=expired, lease_until_ms=NOW + 7))
    assert isinstance(update, Update)
    assert update.conditions == (Equals("lease_until_ms", expired.attempt.lease_until_ms), Missing("runner"))
    assert (update.set, update.add) == ({"lease_until_ms": NOW + 7}, {"pushes": 1})


def test_a_transition_that_the_table_does_not_have_cannot_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushlane.state.transitions.TRANSITIONS", {status: frozenset[Status]() for status in Status})
    with pytest.raises(ValueError, match="cannot go from PARKED to DISPATCHED"):
        own_operations(dispatch_of(from_lane()), POOL, NOW)
    monkeypatch.setattr("pushlane.state.transitions.ENTRY_STATES", frozenset[Status]())
    with pytest.raises(ValueError, match="cannot begin as PARKED"):
        own_operations(park_of(ARRIVAL), POOL, NOW)
