"""The token budget of the virtual world."""

import pytest

from pushlane.simulator import RateSetting
from pushlane.simulator.rates import Bucket


def a_bucket(per_minute: int = 60_000, burst: int = 1_000) -> Bucket:
    return Bucket(RateSetting(name="gpt", tokens_per_minute=per_minute, burst_tokens=burst))


def test_the_burst_goes_at_once_and_then_a_token_a_millisecond() -> None:
    bucket = a_bucket()
    assert bucket.fits_at_ms(1_000, 5) == 5
    bucket.charge(1_000, 5)
    assert bucket.fits_at_ms(1, 5) == 6
    assert bucket.fits_at_ms(400, 5) == 405


def test_a_charge_above_the_burst_fits_a_full_bucket_and_leaves_a_debt() -> None:
    bucket = a_bucket()
    assert bucket.fits_at_ms(3_000, 0) == 0
    bucket.charge(3_000, 0)
    assert bucket.fits_at_ms(1, 0) == 2_001
    assert bucket.fits_at_ms(3_000, 0) == 3_000


def test_more_than_estimated_is_a_debt_and_less_comes_back() -> None:
    bucket = a_bucket()
    bucket.charge(500, 0)
    bucket.correct(500, 0)
    assert bucket.fits_at_ms(1, 0) == 1
    bucket.correct(-400, 0)
    assert bucket.fits_at_ms(400, 0) == 0


def test_what_was_not_used_is_not_saved_beyond_the_burst() -> None:
    bucket = a_bucket()
    bucket.charge(1_000, 0)
    bucket.correct(-1_000, 50_000)
    bucket.charge(1_000, 60_000)
    assert bucket.fits_at_ms(1, 60_000) == 60_001


@pytest.mark.parametrize("per_minute", [1, 7, 275_000])
def test_it_fits_when_it_says_and_not_before(per_minute: int) -> None:
    bucket = a_bucket(per_minute, 10)
    bucket.charge(10, 0)
    at = bucket.fits_at_ms(3, 0)
    assert bucket.fits_at_ms(3, at) == at
    assert bucket.fits_at_ms(3, at - 1) == at
