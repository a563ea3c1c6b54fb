"""A decision's own operations: each change of a task is fenced by status and epoch, and only the table's are made."""

from typing import Any

import pytest

from pushlane.model.attempt import ErrorDetail, OutcomeKind
from pushlane.model.task import TRANSITIONS, Status
from pushlane.ports import Absent, Delete, Equals, Missing, Present, Put, Update, Write
from pushlane.scheduling.decisions import (
    Complete,
    Decision,
    Dispatch,
    Fail,
    FromLane,
    Park,
    ParkReason,
    Repush,
    Retry,
)
from pushlane.scheduling.snapshot import Arrival, Finished, LeaseExpired, RetryDue, RetryState
from pushlane.state import keys
from pushlane.state.changes import RETENTION_SECONDS, own_operations
from tests.unit.values import NOW, POOL, a_task, an_attempt, an_entry, an_outcome

ERROR = ErrorDetail(error_type="Boom", message="boom")
FINISHED = Finished("t-0001", 2, "one", "call", an_outcome())
FAILED = Finished("t-0001", 2, "one", "call", an_outcome(OutcomeKind.FAILED))
EXPIRED = LeaseExpired(an_attempt(epoch=2, runner="call"), RetryState(entry=an_entry(epoch=2), retry=a_task().retry))
ARRIVAL = Arrival(a_task())
DUE = RetryDue(an_entry(epoch=2), NOW - 5)


def a_dispatch(origin: Arrival | RetryDue | FromLane, epoch: int) -> Dispatch:
    return Dispatch(entry=an_entry(epoch=epoch), epoch=epoch + 1, agent_id="one", lease_until_ms=NOW + 1, origin=origin)


def a_park(origin: Arrival | RetryDue, epoch: int) -> Park:
    return Park(entry=an_entry(epoch=epoch), reason=ParkReason.CAPACITY, origin=origin)


def a_retry(ended: Finished | LeaseExpired) -> Retry:
    return Retry(ended=ended, entry=an_entry(epoch=2), due_ms=NOW + 9, error=ERROR)


MOVES: list[tuple[Decision, Status, int, Status]] = [
    (a_dispatch(FromLane(), 0), Status.PARKED, 0, Status.DISPATCHED),
    (a_dispatch(DUE, 2), Status.RETRYING, 2, Status.DISPATCHED),
    (a_park(DUE, 2), Status.RETRYING, 2, Status.PARKED),
    (Complete(finished=FINISHED), Status.DISPATCHED, 2, Status.SUCCEEDED),
    (a_retry(FAILED), Status.DISPATCHED, 2, Status.RETRYING),
    (a_retry(EXPIRED), Status.DISPATCHED, 2, Status.RETRYING),
    (Fail(ended=FAILED, error=ERROR), Status.DISPATCHED, 2, Status.FAILED),
    (Fail(ended=EXPIRED, error=ERROR), Status.DISPATCHED, 2, Status.FAILED),
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


def test_together_they_make_every_transition_of_the_table() -> None:
    made = {(before, after) for _, before, _, after in MOVES}
    assert made == {(before, after) for before, to in TRANSITIONS.items() for after in to}


@pytest.mark.parametrize(
    ("decision", "status", "epoch"),
    [(a_dispatch(ARRIVAL, 0), "DISPATCHED", 1), (a_park(ARRIVAL, 0), "PARKED", 0)],
)
def test_a_new_task_is_put_only_if_there_is_none(decision: Decision, status: str, epoch: int) -> None:
    first = operations(decision)[0]
    assert isinstance(first, Put)
    assert first.conditions == (Absent(),)
    assert (first.attributes["status"], first.attributes["epoch"]) == (status, epoch)


@pytest.mark.parametrize("origin", [ARRIVAL, FromLane(), DUE])
def test_a_dispatch_reserves_under_a_new_epoch_and_only_if_no_attempt_is_live(origin: Any) -> None:
    reservation = operations(a_dispatch(origin, 2))[1]
    assert isinstance(reservation, Put)
    assert reservation.key == keys.attempt_key(POOL, "t-0001")
    assert reservation.conditions == (Absent(),)
    assert (reservation.attributes["epoch"], reservation.attributes["lease_until_ms"]) == (3, NOW + 1)


@pytest.mark.parametrize(
    ("decision", "left"),
    [
        (a_dispatch(FromLane(), 0), keys.entry_key(POOL, an_entry())),
        (a_dispatch(DUE, 2), keys.delayed_key(POOL, NOW - 5, "t-0001")),
        (a_park(DUE, 2), keys.delayed_key(POOL, NOW - 5, "t-0001")),
    ],
)
def test_what_waited_leaves_where_it_waited_and_only_once(decision: Decision, left: Any) -> None:
    assert operations(decision)[-1] == Delete(left, (Present(),))


@pytest.mark.parametrize("origin", [FromLane(), DUE])
def test_a_new_attempt_sheds_the_times_of_the_last_one(origin: Any) -> None:
    gone = task_update(a_dispatch(origin, 2)).remove
    assert set(gone) == {"due_ms", "park_reason", "started_at_ms", "finished_at_ms"}


@pytest.mark.parametrize("decision", [Complete(finished=FINISHED), Fail(ended=EXPIRED, error=ERROR)])
def test_an_end_is_kept_for_its_time_and_then_forgotten(decision: Decision) -> None:
    told = task_update(decision).set
    assert (told["ended_at_ms"], told["expires_at_s"]) == (NOW, NOW // 1_000 + RETENTION_SECONDS)


def test_a_push_that_is_repeated_holds_only_for_the_lease_that_was_read_and_if_nobody_started() -> None:
    expired = LeaseExpired(an_attempt(), RetryState(entry=an_entry(epoch=1), retry=a_task().retry))
    [update] = operations(Repush(expired=expired, lease_until_ms=NOW + 7))
    assert isinstance(update, Update)
    assert update.conditions == (Equals("lease_until_ms", expired.attempt.lease_until_ms), Missing("runner"))
    assert (update.set, update.add) == ({"lease_until_ms": NOW + 7}, {"pushes": 1})


def test_a_transition_that_the_table_does_not_have_cannot_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushlane.state.changes.TRANSITIONS", {status: frozenset[Status]() for status in Status})
    with pytest.raises(ValueError, match="cannot go from PARKED to DISPATCHED"):
        own_operations(a_dispatch(FromLane(), 0), POOL, NOW)
    monkeypatch.setattr("pushlane.state.changes.ENTRY_STATES", frozenset[Status]())
    with pytest.raises(ValueError, match="cannot begin as PARKED"):
        own_operations(a_park(ARRIVAL, 0), POOL, NOW)
