"""Which dead tasks go back in a minute: as a table, and as properties over any dead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.model.policy import Redrive
from pushlane.scheduling.redrive import MINUTE_MS, Dead, redriven_now

NOW = 1_700_000_000_000
RULE = Redrive(after_seconds=60, max_times=2, per_minute=4)


def dead(name: str, ago_seconds: float, redrives: int = 0) -> Dead:
    return Dead(task_id=name, died_at_ms=NOW - round(ago_seconds * 1_000), redrives=redrives)


@pytest.mark.parametrize(
    ("one", "goes"),
    [
        (dead("a", 60), True),
        (dead("a", 59.999), False),
        (dead("a", 60, redrives=1), True),
        (dead("a", 10_000, redrives=2), False),
        (dead("a", -5), False),
    ],
)
def test_who_goes(one: Dead, goes: bool) -> None:
    assert [each.dead for each in redriven_now([one], RULE, NOW)] == ([one] if goes else [])


def test_the_oldest_go_and_they_are_spread_over_the_minute() -> None:
    many = [dead(str(n), 1_000 - n) for n in range(10)]
    found = redriven_now(many, RULE, NOW)
    assert [one.dead for one in found] == many[:4]
    assert [one.due_ms - NOW for one in found] == [0, 15_000, 30_000, 45_000]


def test_what_the_minute_has_taken_already_counts() -> None:
    many = [dead(str(n), 1_000) for n in range(10)]
    assert [one.due_ms - NOW for one in redriven_now(many, RULE, NOW, taken=3)] == [45_000]
    assert redriven_now(many, RULE, NOW, taken=4) == []
    assert redriven_now(many, RULE, NOW, taken=9) == []


@given(
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 5)), max_size=50),
    st.integers(1, 300),
    st.integers(1, 5),
    st.integers(0, 3_600),
    st.integers(0, 300),
)
def test_a_minute_never_has_more_than_its_rate(
    ages: list[tuple[int, int]], per_minute: int, max_times: int, after_seconds: int, taken: int
) -> None:
    rule = Redrive(after_seconds=after_seconds, max_times=max_times, per_minute=per_minute)
    many = [dead(str(place), age, redrives) for place, (age, redrives) in enumerate(sorted(ages, reverse=True))]
    found = redriven_now(many, rule, NOW, taken)
    assert len(found) + taken <= max(per_minute, taken)
    for one in found:
        assert one.dead.redrives < max_times
        assert one.dead.died_at_ms <= NOW - after_seconds * 1_000
        assert NOW <= one.due_ms < NOW + MINUTE_MS
