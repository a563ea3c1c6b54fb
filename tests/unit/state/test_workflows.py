"""A workflow's items: marks in parts, and the last of a part says so, in whatever order and however often they come."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from pushlane.inmemory import InMemoryItemStore
from pushlane.inmemory.clock import ManualClock
from pushlane.scheduling.workflow import NodeEnd
from pushlane.state.workflows import MARKS_MAX, Mark, ends_keys, load_marks, note_end, parents_keys


@given(st.integers(1, 3 * MARKS_MAX + 1), st.randoms(use_true_random=False))
def test_whoever_sets_the_last_mark_knows_it(count: int, chance: Random) -> None:
    store = InMemoryItemStore(ManualClock(0))
    where = ends_keys("w-1", count)
    assert len(where) == -(-count // MARKS_MAX)
    places = [*range(count), *range(0, count, 3)]  # some come twice
    chance.shuffle(places)
    seen: set[int] = set()
    for place in places:
        seen.add(place)
        part = range(place - place % MARKS_MAX, min(count, place - place % MARKS_MAX + MARKS_MAX))
        said = note_end(store, where, place, Mark(NodeEnd.SUCCEEDED, 5), 0, count)
        assert said == seen.issuperset(part)
    assert load_marks(store, where) == {place: Mark(NodeEnd.SUCCEEDED, 5) for place in range(count)}


def test_marks_of_one_task_are_apart_from_those_of_another() -> None:
    keys = {*parents_keys("t-1", 120), *parents_keys("t-2", 120), *ends_keys("t-1", 120)}
    assert len(keys) == 9
    assert load_marks(InMemoryItemStore(ManualClock(0)), []) == {}


def test_marks_expire_one_day() -> None:
    store = InMemoryItemStore(ManualClock(0))
    (where,) = parents_keys("t-1", 2)
    note_end(store, [where], 0, Mark(NodeEnd.FAILED, 5), 1_000, 2)
    stored = store.get([where])[where].attributes
    assert stored == {"n0": "FAILED@5", "expires_at_s": 1 + 400 * 24 * 3_600}
