"""Percentiles of measured milliseconds."""

import math
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

_NOTHING: Final = 0.0


class Percentiles(Struct, frozen=True, kw_only=True):
    """Nearest-rank percentiles (each is a measured value), in milliseconds; all zero of no values."""

    samples: int
    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, values_ms: Sequence[float]) -> "Percentiles":
        """
        >>> Percentiles.of([30, 10, 20]).p50
        20
        """
        ordered = sorted(values_ms)
        p50, p95, p99 = (_rank(ordered, share) for share in (0.50, 0.95, 0.99))
        return cls(samples=len(ordered), p50=p50, p95=p95, p99=p99)


def _rank(ordered: Sequence[float], share: float) -> float:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else _NOTHING
