"""GCRA as arithmetic: how much goes at once, when more goes, and that a rate is never exceeded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.model.policy import Rate
from pushlane.scheduling.rates import drawn, gcra, gcra_of

NOW_US = 1_700_000_000_000_000


def test_the_burst_goes_at_once_and_then_one_for_each_interval() -> None:
    rate = gcra(60, 3)
    tat_us = 0
    for _ in range(3):
        assert rate.admits_at_us(tat_us, 1) <= NOW_US
        tat_us = drawn(tat_us, NOW_US, rate.time_of(1))
    assert rate.admits_at_us(tat_us, 1) == NOW_US + 1_000_000


def test_a_draw_larger_than_the_burst_waits_for_a_full_bucket_and_leaves_debt() -> None:
    rate = gcra(60, 3)
    assert rate.admits_at_us(NOW_US + 1, 10) == NOW_US + 1
    assert rate.admits_at_us(NOW_US, 10) == NOW_US
    tat_us = drawn(NOW_US, NOW_US, rate.time_of(10))
    assert rate.admits_at_us(tat_us, 1) == NOW_US + 8_000_000


def test_a_full_bucket_is_drawn_from_now_on_not_from_when_it_was_full() -> None:
    assert drawn(5, NOW_US, 7) == NOW_US + 7
    assert drawn(NOW_US + 3, NOW_US, 7) == NOW_US + 10


@pytest.mark.parametrize(("shards", "each"), [(1, 1_000_000), (4, 4_000_000)])
def test_a_shard_has_its_part_of_the_rate_and_of_the_burst(shards: int, each: int) -> None:
    rate = gcra_of(Rate(per_minute=60, burst=8, shards=shards))
    assert rate.time_of(1) == each
    assert rate.burst_us == 8_000_000  # in each shard's slower time: 8 / shards of them
    assert rate.burst_us // rate.time_of(1) == 8 // shards


def test_without_a_burst_of_its_own_a_minutes_worth_goes_at_once() -> None:
    assert gcra_of(Rate(per_minute=90)).burst_us == 60_000_000


@given(
    per_minute=st.integers(1, 1_000_000),
    burst=st.integers(1, 1_000_000),
    draws=st.lists(st.tuples(st.integers(0, 120_000_000), st.integers(1, 5_000)), min_size=1, max_size=40),
)
def test_no_sequence_of_admitted_draws_exceeds_burst_plus_rate(
    per_minute: int, burst: int, draws: list[tuple[int, int]]
) -> None:
    rate = gcra(per_minute, burst)
    now_us, tat_us, taken = NOW_US, 0, 0
    for wait_us, amount in draws:
        now_us += wait_us
        if amount <= burst and rate.time_of(amount) <= rate.burst_us and rate.admits_at_us(tat_us, amount) <= now_us:
            tat_us = drawn(tat_us, now_us, rate.time_of(amount))
            taken += amount
        earned = (now_us - NOW_US) * per_minute / 60_000_000
        assert taken <= burst + earned + 1e-6
