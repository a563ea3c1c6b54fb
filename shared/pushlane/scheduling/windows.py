"""The windows of token budgets: the UTC day and month that an instant lies in."""

from datetime import UTC, datetime, timedelta


def day_of(now_ms: int) -> int:
    """The UTC day as a number, 20261122."""
    at = _utc(now_ms)
    return at.year * 10_000 + at.month * 100 + at.day


def month_of(now_ms: int) -> int:
    """The UTC month as a number, 202611."""
    at = _utc(now_ms)
    return at.year * 100 + at.month


def next_day_ms(now_ms: int) -> int:
    midnight = _utc(now_ms).replace(hour=0, minute=0, second=0, microsecond=0)
    return round((midnight + timedelta(days=1)).timestamp()) * 1_000


def next_month_ms(now_ms: int) -> int:
    first = _utc(now_ms).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return round((first + timedelta(days=32)).replace(day=1).timestamp()) * 1_000


def tokens_by_window(tokens: int, reserved_at_ms: int, now_ms: int) -> tuple[int, int]:
    """What a settlement changes in the budgets of the day and the month. As with rates: what was not used goes back to
    the window that it was charged to, and to no later one.
    """
    day = tokens if tokens > 0 or day_of(reserved_at_ms) == day_of(now_ms) else 0
    month = tokens if tokens > 0 or month_of(reserved_at_ms) == month_of(now_ms) else 0
    return day, month


def _utc(now_ms: int) -> datetime:
    return datetime.fromtimestamp(now_ms / 1_000, UTC)
