"""The state machine as a table: where a task begins, where it ends, and that every state is reached and left."""

import re
from pathlib import Path

import msgspec
import pytest

from pushlane.model.task import ENTRY_STATES, TRANSITIONS, Estimate, RetryPolicy, Status
from tests.unit.values import a_task

DRAWING = Path(__file__).resolve().parents[3] / "docs" / "state-machine.md"


def reachable(start: frozenset[Status]) -> set[Status]:
    found: set[Status] = set()
    ahead = set(start)
    while ahead:
        found |= ahead
        ahead = {after for status in ahead for after in TRANSITIONS[status]} - found
    return found


def test_the_table_speaks_of_every_status() -> None:
    assert set(TRANSITIONS) == set(Status)
    assert reachable(ENTRY_STATES) == set(Status)


def test_the_terminal_states_are_these_and_no_other() -> None:
    assert {status for status in Status if status.terminal} == {
        Status.SUCCEEDED,
        Status.FAILED,
        Status.EXPIRED,
    }


def test_a_task_begins_waiting_or_dispatched_or_is_late_beyond_hope_when_it_comes() -> None:
    assert frozenset({Status.PARKED, Status.DISPATCHED, Status.EXPIRED}) == ENTRY_STATES


@pytest.mark.parametrize("status", list(Status))
def test_an_end_is_reached_from_everywhere(status: Status) -> None:
    assert any(one.terminal for one in reachable(frozenset({status})))


@pytest.mark.parametrize(
    ("end", "before"),
    [
        (Status.SUCCEEDED, {Status.DISPATCHED}),
        (Status.FAILED, {Status.DISPATCHED}),
        (Status.EXPIRED, {Status.PARKED, Status.DISPATCHED, Status.RETRYING}),
    ],
)
def test_only_an_attempt_ends_a_task_unless_its_hard_deadline_does(end: Status, before: set[Status]) -> None:
    assert {status for status, to in TRANSITIONS.items() if end in to} == before


def test_the_drawing_in_the_documentation_shows_the_table() -> None:
    drawn = set(re.findall(r"^ +(\S+) --> (\S+)$", DRAWING.read_text(), re.MULTILINE))
    entries = {("[*]", status.value) for status in ENTRY_STATES}
    ends = {(status.value, "[*]") for status in Status if status.terminal}
    assert drawn == {(before.value, after.value) for before, to in TRANSITIONS.items() for after in to} | entries | ends


def test_a_task_survives_its_stored_form_and_defaults_are_not_stored() -> None:
    task = a_task(payload={"n": [1, {"é": None}]}, estimate=Estimate(tokens=5), labels={"kind": "x"}, deadline_ms=7)
    assert msgspec.json.decode(msgspec.json.encode(task), type=type(task)) == task
    plain = msgspec.json.decode(msgspec.json.encode(a_task()))
    assert {"tier", "retry", "estimate", "labels", "deadline_ms"}.isdisjoint(plain)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Estimate, {"runtime_seconds": 0}),
        (Estimate, {"runtime_seconds": 86_401}),
        (Estimate, {"tokens": -1}),
        (RetryPolicy, {"max_attempts": 0}),
        (RetryPolicy, {"max_attempts": 11}),
        (RetryPolicy, {"backoff_seconds": 0}),
        (RetryPolicy, {"backoff_max_seconds": 3_601}),
        (RetryPolicy, {"attempts": 3}),
    ],
)
def test_what_a_producer_may_ask_for_is_bounded(kind: type, value: dict[str, float]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(value, kind)
