"""The agent's words against every state of its attempt: who may start, check in and finish, and what it leaves."""

import pytest

from pushlane.inmemory import InMemoryItemStore, ManualClock
from pushlane.model.attempt import Outcome, OutcomeKind
from pushlane.ports import ConditionFailed, Put, Scalar, Write
from pushlane.state.attempts import attempt_item, check_in, finish, start
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
