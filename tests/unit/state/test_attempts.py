"""The agent's words against every state of its attempt: who may start, check in and finish, and what it leaves."""

import pytest

from pushlane.inmemory import InMemoryItemStore, ManualClock
from pushlane.model.attempt import Order, Outcome, OutcomeKind
from pushlane.model.signals import Signal
from pushlane.ports import ConditionFailed, Put, Scalar, Write
from pushlane.state.attempts import (
    attempt_item,
    beat,
    check_in,
    finish,
    orders_of,
    signal_attribute,
    start,
    within_its_end,
)
from pushlane.state.items import attempt_of, new_attempt_attributes, outcome_attributes
from tests.unit.values import NOW, an_attempt, an_outcome, attributes_of

KEY = attempt_item("default#0", "t-0001")
SAID = an_outcome(result={"a": 1})
OTHER = an_outcome(OutcomeKind.FAILED)
LEASE = NOW + 60_000

DISPATCHED = new_attempt_attributes(an_attempt())
MINE: dict[str, Scalar] = {**DISPATCHED, "runner": "mine", "started_at_ms": NOW}
OTHERS: dict[str, Scalar] = {**DISPATCHED, "runner": "other", "started_at_ms": NOW}
FINISHED: dict[str, Scalar] = {**MINE, **outcome_attributes(SAID)}
LATER: dict[str, Scalar] = {**MINE, "epoch": 2}

START = start(KEY, 1, "mine", NOW, LEASE)
CHECK_IN = check_in(KEY, 1, "mine", LEASE, {"progress": "0.5"})
FINISH = finish(KEY, 1, "mine", SAID, NOW)
SUSPENDED = Outcome(kind=OutcomeKind.SUSPENDED, started_at_ms=NOW, finished_at_ms=NOW, awaits="a", signals_seen=1)
SUSPEND = finish(KEY, 1, "mine", SUSPENDED, NOW)
BEAT = beat(KEY, 1, "mine", LEASE, NOW)


def store_with(attributes: dict[str, Scalar] | None) -> InMemoryItemStore:
    store = InMemoryItemStore(ManualClock(NOW))
    if attributes is not None:
        store.write(Put(KEY, attributes))
    return store


@pytest.mark.parametrize(
    ("word", "stored"),
    [
        (START, DISPATCHED),
        (START, MINE),  # the same invocation repeats a write whose answer was lost
        (CHECK_IN, MINE),
        (FINISH, MINE),
        (FINISH, FINISHED),
        (CHECK_IN, {**MINE, "ends_at_ms": LEASE}),
        (BEAT, MINE),
        (BEAT, {**MINE, "progress_at_ms": NOW}),
        (SUSPEND, MINE),
        (SUSPEND, {**MINE, "signals": 1}),
        (SUSPEND, {**MINE, **outcome_attributes(SUSPENDED), "signals": 2}),  # its own repeat
    ],
)
def test_the_runners_word_is_taken(word: Write, stored: dict[str, Scalar]) -> None:
    store_with(stored).write(word)


@pytest.mark.parametrize(
    ("word", "stored"),
    [
        (START, OTHERS),
        (START, FINISHED),
        (START, {**DISPATCHED, "epoch": 2}),
        (START, None),
        (CHECK_IN, DISPATCHED),
        (CHECK_IN, OTHERS),
        (CHECK_IN, FINISHED),
        (CHECK_IN, LATER),
        (CHECK_IN, None),
        (FINISH, DISPATCHED),
        (FINISH, OTHERS),
        (FINISH, {**MINE, **outcome_attributes(OTHER)}),
        (FINISH, LATER),
        (FINISH, None),
        (START, {**DISPATCHED, "ends_at_ms": LEASE - 1}),
        (CHECK_IN, {**MINE, "ends_at_ms": LEASE - 1}),
        (BEAT, OTHERS),
        (BEAT, FINISHED),
        (BEAT, {**MINE, "progress_at_ms": NOW + 1}),
        (SUSPEND, {**MINE, "signals": 2}),
        (SUSPEND, OTHERS),
    ],
)
def test_nobody_elses_word_is_taken_and_nothing_comes_of_it(word: Write, stored: dict[str, Scalar] | None) -> None:
    store = store_with(stored)
    with pytest.raises(ConditionFailed):
        store.write(word)
    if stored is None:
        assert store.get([KEY]) == {}
    else:
        assert attributes_of(store, KEY) == stored


def test_start_makes_the_runner_and_its_lease() -> None:
    store = store_with(DISPATCHED)
    store.write(START)
    attempt = attempt_of(store.get([KEY])[KEY])
    assert (attempt.runner, attempt.started_at_ms, attempt.lease_until_ms) == ("mine", NOW, LEASE)


def test_a_check_in_extends_the_lease_and_keeps_what_it_brought() -> None:
    store = store_with(MINE)
    store.write(CHECK_IN)
    stored = attributes_of(store, KEY)
    assert (stored["lease_until_ms"], stored["progress"], stored["runner"]) == (LEASE, "0.5", "mine")


@pytest.mark.parametrize("outcome", [SAID, OTHER])
def test_a_finished_attempt_is_due_at_once_with_its_outcome(outcome: Outcome) -> None:
    store = store_with(MINE)
    store.write(finish(KEY, 1, "mine", outcome, NOW))
    attempt = attempt_of(store.get([KEY])[KEY])
    assert (attempt.outcome, attempt.lease_until_ms) == (outcome, NOW)


@pytest.mark.parametrize("ends_at_ms", [LEASE - 1, LEASE, LEASE + 1])
def test_no_word_extends_the_lease_beyond_the_attempts_end(ends_at_ms: int) -> None:
    store = store_with({**MINE, "ends_at_ms": ends_at_ms})
    after = within_its_end(store, LEASE, lambda until_ms: check_in(KEY, 1, "mine", until_ms, {}))
    assert after["lease_until_ms"] == min(LEASE, ends_at_ms)


def test_an_end_does_not_make_a_strangers_word_count() -> None:
    store = store_with({**OTHERS, "ends_at_ms": LEASE - 1})
    with pytest.raises(ConditionFailed):
        within_its_end(store, LEASE, lambda until_ms: check_in(KEY, 1, "mine", until_ms, {}))


@pytest.mark.parametrize(
    ("more", "order"),
    [
        ({}, Order.CONTINUE),
        ({"order_for": "t-2"}, Order.PREEMPT),
        ({"order": "preempt", "order_for": "t-2"}, Order.PREEMPT),
        ({"order": "cancel", "order_for": "t-2"}, Order.CANCEL),
    ],
)
def test_the_order_that_stands(more: dict[str, Scalar], order: Order) -> None:
    assert orders_of({**MINE, **more}).order is order


def test_signals_are_read_in_the_order_of_their_numbers() -> None:
    signals = [Signal(number=n, name=f"n{n}", signal_id=str(n), sent_at_ms=n) for n in (10, 9, 2)]
    attributes: dict[str, Scalar] = {**MINE, "signals": 10, "signals_of_no_number": "x"}
    for one in signals:
        attributes |= signal_attribute(one)
    found = orders_of(attributes)
    assert [one.number for one in found.new_signals] == [2, 9, 10]
    assert (found.signals, orders_of({**MINE, "signals": 3}).signals, orders_of(MINE).signals) == (10, 3, 0)
