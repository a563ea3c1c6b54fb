"""When a schedule fires: its expression, in its time zone, within its bounds.

By the rules of EventBridge Scheduler: a local time that a change of the clocks skips does not fire, one that comes
twice fires once (the first time), and a rate counts elapsed time, so that `rate(1 day)` is 24 hours.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from pushlane.model.cron import Cron, parse_cron
from pushlane.model.errors import InvalidEvent

_CRON: Final = re.compile(r"^cron\((?P<fields>[^()]{1,200})\)(?!\n)$")
_RATE: Final = re.compile(r"^rate\((?P<value>[1-9][0-9]{0,5}) (?P<unit>minute|hour|day)s?\)(?!\n)$")
_AT: Final = re.compile(r"^at\((?P<time>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})\)(?!\n)$")
_ZONE: Final = re.compile(r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}(?!\n)$")
_UNIT_MS: Final = {"minute": 60_000, "hour": 3_600_000, "day": 86_400_000}


class Rate(Struct, frozen=True):
    """Every so many milliseconds of elapsed time."""

    every_ms: int


class At(Struct, frozen=True):
    """Once, at a local time."""

    local: datetime


Expression = Cron | Rate | At


class Timing(Struct, frozen=True, kw_only=True):
    """When something fires. `anchor_ms`: from when a rate counts. All times are Unix milliseconds; the bounds belong to
    it.
    """

    expression: Expression
    zone: str
    anchor_ms: int
    starts_at_ms: int | None = None
    ends_at_ms: int | None = None

    def next_after(self, time_ms: int) -> int | None:
        """The first time it fires later than `time_ms`; None when it does not any more."""
        after_ms = max(time_ms, (self.starts_at_ms or 0) - 1)
        found = _next(self, after_ms)
        return None if found is None or (self.ends_at_ms is not None and found > self.ends_at_ms) else found

    def last_until(self, time_ms: int) -> int | None:
        """The last time it fired up to `time_ms`, that included; None when it had not yet."""
        until_ms = time_ms if self.ends_at_ms is None else min(time_ms, self.ends_at_ms)
        found = _last(self, until_ms)
        return None if found is None or (self.starts_at_ms is not None and found < self.starts_at_ms) else found


def parse_expression(text: str) -> Expression:
    """`cron(...)`, `rate(...)` or `at(...)`; raises `InvalidEvent` at `$.expression`."""
    if (cron := _CRON.match(text)) is not None:
        return parse_cron(cron["fields"])
    if (rate := _RATE.match(text)) is not None:
        return Rate(int(rate["value"]) * _UNIT_MS[rate["unit"]])
    if (at := _AT.match(text)) is not None:
        return _at(at["time"])
    reason = "is none of cron(0 9 ? * MON-FRI *), rate(5 minutes), at(2030-01-31T09:00:00)"
    raise InvalidEvent("$.expression", f"{text[:80]!r} {reason}")


def zone_of(name: str) -> ZoneInfo:
    """The IANA time zone; raises `InvalidEvent` at `$.timezone`."""
    found = _zone(name) if _ZONE.match(name) else None
    if found is None:
        raise InvalidEvent("$.timezone", f"{name[:64]!r} is no IANA time zone, as Europe/Berlin or UTC")
    return found


def local_to_ms(local: datetime, zone: ZoneInfo) -> int | None:
    """A local time as Unix milliseconds, the first one if it comes twice; None if the clocks skip it."""
    aware = local.replace(tzinfo=zone, fold=0)
    instant = aware.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) != local:
        return None
    return round(instant.timestamp() * 1_000)


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not found, not a name, or a folder of names
        return None


def _at(text: str) -> At:
    try:
        return At(datetime.fromisoformat(text))
    except ValueError as error:
        raise InvalidEvent("$.expression", f"{text}: {error}") from error


def _next(timing: Timing, after_ms: int) -> int | None:
    expression = timing.expression
    if isinstance(expression, Rate):
        steps = max(0, (after_ms - timing.anchor_ms) // expression.every_ms + 1)
        return timing.anchor_ms + steps * expression.every_ms
    zone = zone_of(timing.zone)
    if isinstance(expression, At):
        once = local_to_ms(expression.local, zone)
        return once if once is not None and once > after_ms else None
    return next((at for at in _forward(expression, zone, after_ms) if at > after_ms), None)


def _last(timing: Timing, until_ms: int) -> int | None:
    expression = timing.expression
    if isinstance(expression, Rate):
        steps = (until_ms - timing.anchor_ms) // expression.every_ms
        return timing.anchor_ms + steps * expression.every_ms if steps >= 0 else None
    zone = zone_of(timing.zone)
    if isinstance(expression, At):
        once = local_to_ms(expression.local, zone)
        return once if once is not None and once <= until_ms else None
    return next((at for at in _backward(expression, zone, until_ms) if at <= until_ms), None)


def _forward(cron: Cron, zone: ZoneInfo, after_ms: int) -> Iterator[int]:
    """Times from shortly before `after_ms` on, in order."""
    start = _local(after_ms, zone)
    for year, month in _months(cron, start):
        for day in cron.days(year, month):
            if (year, month, day) >= (start.year, start.month, start.day):
                yield from _of_day(cron, zone, date(year, month, day))


def _backward(cron: Cron, zone: ZoneInfo, until_ms: int) -> Iterator[int]:
    """Times up to shortly after `until_ms`, the last one first."""
    end = _local(until_ms, zone)
    for year, month in _months_back(cron, end):
        for day in reversed(cron.days(year, month)):
            if (year, month, day) <= (end.year, end.month, end.day):
                yield from reversed(_of_day(cron, zone, datetime(year, month, day)))  # noqa: DTZ001  # local, in `zone`


def _of_day(cron: Cron, zone: ZoneInfo, day: date) -> list[int]:
    said = (datetime.combine(day, time(hour, minute)) for hour in cron.hours for minute in cron.minutes)
    return sorted({at for local in said if (at := local_to_ms(local, zone)) is not None})


def _months(cron: Cron, start: datetime) -> Iterator[tuple[int, int]]:
    for year in cron.years[bisect_left(cron.years, start.year) :]:
        yield from ((year, month) for month in cron.months if (year, month) >= (start.year, start.month))


def _months_back(cron: Cron, end: datetime) -> Iterator[tuple[int, int]]:
    for year in reversed(cron.years[: bisect_right(cron.years, end.year)]):
        yield from ((year, month) for month in reversed(cron.months) if (year, month) <= (end.year, end.month))


def _local(time_ms: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(time_ms / 1_000, zone).replace(tzinfo=None)
