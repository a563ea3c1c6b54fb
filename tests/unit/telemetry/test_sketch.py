"""Sketches: every figure within the stated accuracy, and no trace of how the counts came together."""

import random
from collections import Counter

import pytest

from pushlane.telemetry.report import Percentiles
from pushlane.telemetry.sketch import ACCURACY, bucket_of, percentiles, value_of


@pytest.mark.parametrize("duration_ms", [1, 2, 3, 7, 99, 100, 101, 4_321, 86_400_000, 10**12])
def test_a_bucket_s_value_is_within_the_accuracy_of_all_in_it(duration_ms: int) -> None:
    assert value_of(bucket_of(duration_ms)) == pytest.approx(duration_ms, rel=ACCURACY)


def test_zero_is_a_bucket_of_its_own_and_clocks_that_disagree_are_zero() -> None:
    assert bucket_of(0) == bucket_of(-5) == 0 != bucket_of(1)
    assert value_of(0) == 0.0
    assert bucket_of(0.2) == bucket_of(1)


def test_longer_is_never_in_a_lower_bucket() -> None:
    buckets = [bucket_of(duration_ms) for duration_ms in range(5_000)]
    assert buckets == sorted(buckets)


def test_nothing_measured_is_all_zero() -> None:
    assert percentiles({}) == percentiles({3: 0}) == Percentiles()


def test_one_measured_is_every_figure() -> None:
    found = percentiles({bucket_of(250): 1})
    assert found.count == 1
    for figure in (found.mean_ms, found.p50_ms, found.p95_ms, found.p99_ms, found.max_ms):
        assert figure == pytest.approx(250, rel=ACCURACY)


def test_the_figures_are_those_of_the_samples_at_the_same_ranks() -> None:
    chance = random.Random(7)
    samples = sorted(round(chance.lognormvariate(5, 2)) for _ in range(2_000))
    found = percentiles(Counter(map(bucket_of, samples)))
    for quantile, figure in ((0.5, found.p50_ms), (0.95, found.p95_ms), (0.99, found.p99_ms), (1.0, found.max_ms)):
        assert figure == pytest.approx(samples[int(quantile * (len(samples) - 1))], rel=ACCURACY)
    assert found.mean_ms == pytest.approx(sum(samples) / len(samples), rel=ACCURACY)
