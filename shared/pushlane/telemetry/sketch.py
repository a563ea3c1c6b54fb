"""Distributions of durations as sparse counts of buckets whose bounds grow by a constant factor.

DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees",
VLDB 2019): bucket i holds what lies in (gamma^(i-1), gamma^i], so naming any of it by one value in between is wrong by
at most `ACCURACY`. Two sketches merge by adding their counts, in any order and any grouping. Bucket 0 holds zero,
bucket i + 1 is the paper's bucket i, and whatever is between zero and one millisecond counts as one.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pushlane.telemetry.report import Percentiles

ACCURACY: Final = 0.01
_GAMMA: Final = (1 + ACCURACY) / (1 - ACCURACY)
_LOG_GAMMA: Final = math.log(_GAMMA)
_QUANTILES: Final = (0.5, 0.95, 0.99)

Buckets = Mapping[int, int]


def bucket_of(duration_ms: float) -> int:
    """The bucket of a duration; what is negative (clocks disagree) counts as zero."""
    return 0 if duration_ms <= 0 else 1 + math.ceil(math.log(max(1.0, duration_ms)) / _LOG_GAMMA)


def value_of(bucket: int) -> float:
    """The duration that stands for all in a bucket, in milliseconds."""
    return 0.0 if bucket == 0 else 2 * _GAMMA ** (bucket - 1) / (_GAMMA + 1)


def percentiles(buckets: Buckets) -> Percentiles:
    """The distribution in figures, each within `ACCURACY` of the exact one."""
    ordered = sorted((bucket, some) for bucket, some in buckets.items() if some)
    count = sum(some for _, some in ordered)
    if not count:
        return Percentiles()
    p50, p95, p99 = _at_ranks(ordered, [q * (count - 1) for q in _QUANTILES])
    return Percentiles(
        count=count,
        mean_ms=sum(value_of(bucket) * some for bucket, some in ordered) / count,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        max_ms=value_of(ordered[-1][0]),
    )


def _at_ranks(ordered: Sequence[tuple[int, int]], ranks: Sequence[float]) -> Iterator[float]:
    """The values at ranks that are given in ascending order."""
    so_far, rest = 0, iter(ordered)
    bucket, some = next(rest)
    for rank in ranks:
        while so_far + some <= rank:
            so_far += some
            bucket, some = next(rest)
        yield value_of(bucket)
