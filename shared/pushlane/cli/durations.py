"""Lengths of time as a person says them."""

_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000))


def told_ms(duration_ms: float | None) -> str:
    """A duration in the unit that fits it; `-` where there is none.

    >>> told_ms(640), told_ms(12_300), told_ms(200_000)
    ('640 ms', '12.3 s', '3.3 min')
    """
    if duration_ms is None:
        return "-"
    for unit, size_ms in _UNITS:
        if duration_ms >= 2 * size_ms:
            return f"{duration_ms / size_ms:.1f} {unit}"
    return f"{duration_ms:.0f} ms" if duration_ms < 1_000 else f"{duration_ms / 1_000:.1f} s"
