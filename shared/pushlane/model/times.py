"""Points in time, as everything here says them: Unix milliseconds, of thirteen digits at most.

Keys have them as text of that many digits, so that they sort by time.
"""

from typing import Annotated, Final

from msgspec import Meta

TIME_MS_MAX: Final = 7_258_118_399_999  # the end of the year 2199, the last one that a schedule's expression can name

TimeMs = Annotated[int, Meta(ge=0, le=TIME_MS_MAX, description="Unix time in milliseconds")]


def sortable(time_ms: int) -> str:
    """The time as text that sorts; one before 1970 or after the year 2199 as that."""
    return f"{min(max(0, time_ms), TIME_MS_MAX):013d}"
