"""The state machine as a table: where a task begins, where it ends, and that every state is reached and left."""

import re
from pathlib import Path

import msgspec
import pytest

from pushlane.model.task import ENTRY_STATES, TRANSITIONS, Estimate, RetryPolicy, Status
from tests.unit.values import a_task

DRAWING = Path(__file__).resolve().parents[3] / "docs" / "state-machine.md"


LIVING = {status for status in Status if not status.terminal}


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
        Status.CANCELLED,
        Status.EXPIRED,
    }


def test_a_task_begins_waiting_or_dispatched_or_is_late_beyond_hope_when_it_comes() -> None:
    assert frozenset({Status.BLOCKED, Status.PARKED, Status.DISPATCHED, Status.EXPIRED}) == ENTRY_STATES


@pytest.mark.parametrize("status", list(Status))
def test_an_end_is_reached_from_everywhere(status: Status) -> None:
    assert any(one.terminal for one in reachable(frozenset({status})))


@pytest.mark.parametrize(
    ("end", "before"),
    [
        (Status.SUCCEEDED, {Status.DISPATCHED, Status.WAITING}),
        (Status.FAILED, {Status.BLOCKED, Status.DISPATCHED, Status.WAITING, Status.DEAD_LETTERED}),
        (Status.DEAD_LETTERED, {Status.DISPATCHED, Status.WAITING}),
        (Status.EXPIRED, LIVING - {Status.DEAD_LETTERED}),
        (Status.CANCELLED, LIVING),
    ],
)
def test_who_may_end_a_task(end: Status, before: set[Status]) -> None:
    """Only an attempt succeeds; what lives can be cancelled, and can miss its deadline unless it rests."""
    assert {status for status, to in TRANSITIONS.items() if end in to} == before


def test_only_what_was_dispatched_can_die_or_succeed_and_every_new_attempt_goes_through_admission() -> None:
    assert TRANSITIONS[Status.DEAD_LETTERED] & {Status.DISPATCHED, Status.PARKED} == set()
    assert {status for status, to in TRANSITIONS.items() if Status.SUSPENDED in to} == {
        Status.DISPATCHED,
        Status.WAITING,
    }


def test_the_drawing_in_the_documentation_shows_the_ways_on() -> None:
    drawn = set(re.findall(r"^ +(\S+) --> (\S+)$", DRAWING.read_text(), re.MULTILINE))
    shown = {*LIVING, Status.SUCCEEDED}
    ways = {(before.value, after.value) for before, to in TRANSITIONS.items() for after in to & shown}
    entries = {("[*]", status.value) for status in ENTRY_STATES & LIVING}
    assert drawn == ways | entries | {("SUCCEEDED", "[*]")}


def test_the_table_in_the_documentation_shows_every_transition() -> None:
    rows = [line[1:-1].split("|") for line in DRAWING.read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in row] for row in rows if len(row) == len(Status) + 1]
    columns = cells[0][1:]
    told = {(row[0], to) for row in cells[1:] for to, mark in zip(columns, row[1:], strict=True) if mark}
    entries = {("*(new)*", status.value) for status in ENTRY_STATES}
    assert told == {(before.value, after.value) for before, to in TRANSITIONS.items() for after in to} | entries


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
