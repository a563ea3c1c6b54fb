"""Six cron fields as EventBridge Scheduler reads them: `minutes hours day-of-month month day-of-week year`.

Checked here, so that what the scheduling service would refuse is refused with its field before anything is stored.
"""

import calendar
import re
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from pushlane.model.errors import InvalidEvent

YEAR_MIN: Final = 1970
YEAR_MAX: Final = 2199
_FIELDS: Final = ("minutes", "hours", "day-of-month", "month", "day-of-week", "year")
_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"), 1
    )
}
_DAYS: Final = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), 1)}
_NEAREST_WEEKDAY: Final = re.compile(r"^([0-9]{1,2})W$")
_LAST_OF_ITS_KIND: Final = re.compile(r"^([0-9]|[A-Z]{3})L$")
_NTH: Final = re.compile(r"^([0-9]|[A-Z]{3})#([1-5])$")
_NUMBER: Final = re.compile(r"^[0-9]{1,4}$")
_WEEK: Final = 7
_FRIDAY, _SATURDAY, _SUNDAY = 6, 7, 1


class InvalidCron(InvalidEvent):
    """A cron expression that the scheduling service would not take; the message names the cron field."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__("$.expression", f"cron field {field}: {reason}")


class DaysOfMonth(Struct, frozen=True):
    """Days by their number. `last`: the month's last day. `weekdays`: the weekdays (Monday to Friday) nearest to these
    days, within the month; 0 stands for its last weekday.
    """

    numbers: frozenset[int] = frozenset()
    last: bool = False
    weekdays: frozenset[int] = frozenset()


class DaysOfWeek(Struct, frozen=True):
    """Days by their weekday, 1 is Sunday. `last`: the last such day of a month. `nth`: (weekday, its number in it)."""

    numbers: frozenset[int] = frozenset()
    last: frozenset[int] = frozenset()
    nth: frozenset[tuple[int, int]] = frozenset()


class Cron(Struct, frozen=True):
    """A checked cron expression. Just one of the two day fields is there: the other one was `?`."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    months: tuple[int, ...]
    years: tuple[int, ...]
    days_of_month: DaysOfMonth | None
    days_of_week: DaysOfWeek | None

    def days(self, year: int, month: int) -> tuple[int, ...]:
        """The days of a month on which it fires, in order."""
        length = calendar.monthrange(year, month)[1]
        if self.days_of_month is not None:
            found = _by_number(self.days_of_month, year, month, length)
        else:
            found = _by_weekday(self.days_of_week or DaysOfWeek(), year, month, length)
        return tuple(sorted(day for day in found if 1 <= day <= length))


def parse_cron(text: str) -> Cron:
    """The six fields between the brackets of `cron(...)`; raises `InvalidCron`."""
    parts = text.upper().split()
    if len(parts) != len(_FIELDS):
        raise InvalidCron("count", f"{len(parts)} fields, six are needed: {' '.join(_FIELDS)}")
    minutes, hours, of_month, month, of_week, year = parts
    if (of_month == "?") == (of_week == "?"):
        raise InvalidCron("day-of-week", "exactly one of day-of-month and day-of-week has to be ?, the other one not")
    return Cron(
        minutes=_numbers("minutes", minutes, 0, 59),
        hours=_numbers("hours", hours, 0, 23),
        months=_numbers("month", month, 1, 12, _MONTHS),
        years=_numbers("year", year, YEAR_MIN, YEAR_MAX),
        days_of_month=None if of_month == "?" else _days_of_month(of_month),
        days_of_week=None if of_week == "?" else _days_of_week(of_week),
    )


def weekday(year: int, month: int, day: int) -> int:
    """1 is Sunday, 7 is Saturday."""
    return (calendar.weekday(year, month, day) + 1) % _WEEK + 1


def _numbers(
    field: str, text: str, lowest: int, highest: int, names: Mapping[str, int] | None = None
) -> tuple[int, ...]:
    found: set[int] = set()
    for part in text.split(","):
        found |= _part(field, part, lowest, highest, names or {})
    return tuple(sorted(found))


def _part(field: str, part: str, lowest: int, highest: int, names: Mapping[str, int]) -> set[int]:
    """One part of a list: `*`, a value, a range, or one of them with a step."""
    spread, slash, step_text = part.partition("/")
    step = _number(field, step_text, 1, highest, {}) if slash else 1
    first_text, dash, last_text = spread.partition("-")
    if spread == "*":
        return set(range(lowest, highest + 1, step))
    first = _number(field, first_text, lowest, highest, names)
    if not dash:
        return set(range(first, highest + 1, step)) if slash else {first}
    last = _number(field, last_text, lowest, highest, names)
    if last < first:
        raise InvalidCron(field, f"the range {spread} goes backwards: write it as a list of two ranges")
    return set(range(first, last + 1, step))


def _number(field: str, text: str, lowest: int, highest: int, names: Mapping[str, int]) -> int:
    value = names.get(text, int(text) if _NUMBER.match(text) else None)
    if value is None or not lowest <= value <= highest:
        words = f" or {next(iter(names))}-{list(names)[-1]}" if names else ""
        raise InvalidCron(field, f"{text[:20]!r} is none of {lowest}-{highest}{words}")
    return value


def _days_of_month(text: str) -> DaysOfMonth:
    numbers: set[int] = set()
    weekdays: set[int] = set()
    last = False
    for part in text.split(","):
        nearest = _NEAREST_WEEKDAY.match(part)
        if part == "L":
            last = True
        elif part == "LW":
            weekdays.add(0)
        elif nearest is not None:
            weekdays.add(_number("day-of-month", nearest[1], 1, 31, {}))
        else:
            numbers |= _part("day-of-month", part, 1, 31, {})
    return DaysOfMonth(frozenset(numbers), last, frozenset(weekdays))


def _days_of_week(text: str) -> DaysOfWeek:
    numbers: set[int] = set()
    last: set[int] = set()
    nth: set[tuple[int, int]] = set()
    for part in text.split(","):
        last_one, nth_one = _LAST_OF_ITS_KIND.match(part), _NTH.match(part)
        if part == "L":
            numbers.add(_SATURDAY)
        elif last_one is not None:
            last.add(_number("day-of-week", last_one[1], 1, _WEEK, _DAYS))
        elif nth_one is not None:
            nth.add((_number("day-of-week", nth_one[1], 1, _WEEK, _DAYS), int(nth_one[2])))
        else:
            numbers |= _part("day-of-week", part, 1, _WEEK, _DAYS)
    return DaysOfWeek(frozenset(numbers), frozenset(last), frozenset(nth))


def _by_number(said: DaysOfMonth, year: int, month: int, length: int) -> set[int]:
    nearest = {_nearest_weekday(year, month, day or length, length) for day in said.weekdays if day <= length}
    return set(said.numbers) | ({length} if said.last else set()) | nearest


def _nearest_weekday(year: int, month: int, day: int, length: int) -> int:
    which = weekday(year, month, day)
    if which == _SATURDAY:
        return day - 1 if day > 1 else day + 2
    if which == _SUNDAY:
        return day + 1 if day < length else day - 2
    return day


def _by_weekday(said: DaysOfWeek, year: int, month: int, length: int) -> set[int]:
    first = weekday(year, month, 1)
    found: set[int] = set()
    for day in range(1, length + 1):
        which, number = (first + day - 2) % _WEEK + 1, (day - 1) // _WEEK + 1
        if which in said.numbers or (which, number) in said.nth or (which in said.last and day + _WEEK > length):
            found.add(day)
    return found
