"""Cron as the scheduling service reads it: what is refused, by field, and which days an expression means."""

import pytest

from pushlane.model.cron import InvalidCron, parse_cron


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("0 9 * * *", "count"),
        ("0 9 * * ? * *", "count"),
        ("0 9 * * * *", "day-of-week"),  # neither day field is ?
        ("0 9 ? * ? *", "day-of-week"),  # both are
        ("0 9 1 * MON *", "day-of-week"),
        ("60 9 * * ? *", "minutes"),
        ("-1 9 * * ? *", "minutes"),
        ("0 24 * * ? *", "hours"),
        ("0 9 0 * ? *", "day-of-month"),
        ("0 9 32W * ? *", "day-of-month"),
        ("0 9 * 13 ? *", "month"),
        ("0 9 * FOO ? *", "month"),
        ("0 9 ? * 8 *", "day-of-week"),
        ("0 9 ? * 0 *", "day-of-week"),
        ("0 9 ? * MON#6 *", "day-of-week"),
        ("0 9 * * ? 1969", "year"),
        ("0 9 * * ? 2200", "year"),
        ("0/0 9 * * ? *", "minutes"),
        ("5-3 9 * * ? *", "minutes"),
        ("0,,1 9 * * ? *", "minutes"),
        ("٣ 9 * * ? *", "minutes"),
    ],
)
def test_a_wrong_field_is_named(text: str, field: str) -> None:
    with pytest.raises(InvalidCron, match=f"cron field {field}") as refused:
        parse_cron(text)
    assert refused.value.field == "$.expression"


@pytest.mark.parametrize(
    ("text", "year", "month", "days"),
    [
        ("0 9 L * ? *", 2026, 2, (28,)),
        ("0 9 L * ? *", 2028, 2, (29,)),
        ("0 9 LW * ? *", 2026, 5, (29,)),  # 31 May 2026 is a Sunday
        ("0 9 1W * ? *", 2026, 8, (3,)),  # 1 August 2026 is a Saturday, and the month is not left
        ("0 9 15W * ? *", 2026, 11, (16,)),  # a Sunday
        ("0 9 14W * ? *", 2026, 11, (13,)),  # a Saturday
        ("0 9 31W * ? *", 2026, 11, ()),  # November has 30 days
        ("0 9 31 * ? *", 2026, 4, ()),
        ("0 9 ? * 6#3 *", 2026, 12, (18,)),
        ("0 9 ? * fri#5 *", 2026, 12, ()),
        ("0 9 ? * 6L *", 2026, 12, (25,)),
        ("0 9 ? * L *", 2026, 11, (7, 14, 21, 28)),  # L alone is Saturday
        ("0 9 ? * MON-WED *", 2026, 11, (2, 3, 4, 9, 10, 11, 16, 17, 18, 23, 24, 25, 30)),
        ("0 9 1,15 * ? *", 2026, 11, (1, 15)),
        ("0 9 1/10 * ? *", 2026, 11, (1, 11, 21)),
    ],
)
def test_days_of_a_month(text: str, year: int, month: int, days: tuple[int, ...]) -> None:
    assert parse_cron(text).days(year, month) == days


def test_lists_ranges_and_steps() -> None:
    cron = parse_cron("0/20,5 8-10,22 ? JAN-MAR SUN 2026-2030/2")
    assert cron.minutes == (0, 5, 20, 40)
    assert cron.hours == (8, 9, 10, 22)
    assert cron.months == (1, 2, 3)
    assert cron.years == (2026, 2028, 2030)
