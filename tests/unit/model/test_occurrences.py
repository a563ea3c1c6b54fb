"""When schedules fire, across the changes of clocks; next and last agree with each other."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.model.errors import InvalidEvent
from pushlane.model.occurrences import Timing, parse_expression, zone_of

MINUTE_MS = 60_000
DAY_MS = 86_400_000


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000)


def iso(time_ms: int | None) -> str | None:
    return None if time_ms is None else datetime.fromtimestamp(time_ms / 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def timing(expression: str, zone: str = "UTC", anchor_ms: int = 0, **bounds: int) -> Timing:
    return Timing(expression=parse_expression(expression), zone=zone, anchor_ms=anchor_ms, **bounds)


def test_a_local_time_that_is_skipped_does_not_fire() -> None:
    at_half_past_two = timing("cron(30 2 * * ? *)", "Europe/Berlin")
    # On 29 March 2026 the clocks go from 02:00 to 03:00.
    assert iso(at_half_past_two.next_after(ms("2026-03-28T12:00:00"))) == "2026-03-30T00:30:00"


def test_a_local_time_that_comes_twice_fires_once_the_first_time() -> None:
    at_half_past_two = timing("cron(30 2 * * ? *)", "Europe/Berlin")
    # On 25 October 2026 the clocks go from 03:00 back to 02:00.
    first = at_half_past_two.next_after(ms("2026-10-24T12:00:00"))
    assert first is not None
    assert iso(first) == "2026-10-25T00:30:00"
    assert iso(at_half_past_two.next_after(first)) == "2026-10-26T01:30:00"
    assert at_half_past_two.last_until(ms("2026-10-25T02:00:00")) == first


def test_a_rate_counts_elapsed_time_from_its_anchor() -> None:
    daily = timing("rate(1 day)", "Europe/Berlin", anchor_ms=ms("2026-03-28T12:00:00"))
    assert iso(daily.next_after(ms("2026-03-28T12:00:00"))) == "2026-03-29T12:00:00"
    assert iso(daily.last_until(ms("2026-03-29T11:59:59"))) == "2026-03-28T12:00:00"
    assert daily.last_until(ms("2026-03-28T11:59:59")) is None


def test_a_single_time_is_in_its_zone() -> None:
    once = timing("at(2026-11-23T09:00:00)", "America/New_York")
    assert iso(once.next_after(0)) == "2026-11-23T14:00:00"
    assert once.next_after(ms("2026-11-23T14:00:00")) is None
    assert iso(once.last_until(ms("2026-11-23T14:00:00"))) == "2026-11-23T14:00:00"


def test_bounds_belong_to_it() -> None:
    bounded = timing("cron(0 9 * * ? *)", starts_at_ms=ms("2026-11-02T09:00:00"), ends_at_ms=ms("2026-11-04T09:00:00"))
    assert iso(bounded.next_after(0)) == "2026-11-02T09:00:00"
    assert iso(bounded.next_after(ms("2026-11-03T09:00:00"))) == "2026-11-04T09:00:00"
    assert bounded.next_after(ms("2026-11-04T09:00:00")) is None
    assert iso(bounded.last_until(ms("2027-01-01T00:00:00"))) == "2026-11-04T09:00:00"
    assert bounded.last_until(ms("2026-11-02T08:59:59")) is None


def test_leap_days_across_a_year_without() -> None:
    leap = timing("cron(0 0 29 2 ? *)")
    assert iso(leap.next_after(ms("2096-03-01T00:00:00"))) == "2104-02-29T00:00:00"


def test_what_never_comes_is_found_to_be_so() -> None:
    assert timing("cron(0 0 30 2 ? *)").next_after(0) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cron()",
        "cron(0 9 * * ? *",
        "rate(0 minutes)",
        "rate(5 seconds)",
        "rate(1.5 hours)",
        "rate( 5 minutes )",
        "at(2026-02-30T00:00:00)",
        "at(2026-01-01)",
        "at(2026-01-01T00:00:00Z)",
        "every day",
        "rate(5 minutes)\n",
    ],
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(InvalidEvent) as refused:
        parse_expression(text)
    assert refused.value.field == "$.expression"


@pytest.mark.parametrize(
    "name", ["", "Mars/Base", "../etc/passwd", "Europe", "/UTC", "UTC\n", "europe/berlin\x00", "."]
)
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(InvalidEvent) as refused:
        zone_of(name)
    assert refused.value.field == "$.timezone"


@given(
    st.sampled_from(
        [
            "cron(0/7 * * * ? *)",
            "cron(30 2 ? * SUN *)",
            "cron(15 0,12 L * ? *)",
            "cron(0 3 ? 3,10 1L *)",
            "rate(7 minutes)",
        ]
    ),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    st.integers(min_value=1_700_000_000_000, max_value=1_900_000_000_000),
)
def test_next_and_last_agree(expression: str, zone: str, time_ms: int) -> None:
    said = timing(expression, zone)
    following = said.next_after(time_ms)
    assert following is not None
    assert following > time_ms
    assert said.last_until(following) == following
    before = said.last_until(time_ms)
    assert before is not None
    assert before <= time_ms
    assert said.next_after(before) == following
    assert following % MINUTE_MS == 0


@given(
    st.integers(min_value=0, max_value=59),
    st.sets(st.integers(min_value=0, max_value=23), min_size=1, max_size=3),
    st.sets(st.integers(min_value=1, max_value=7), min_size=1, max_size=3),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
    st.sampled_from(["2026-03-07T00:00:00", "2026-03-28T00:00:00", "2026-04-04T00:00:00", "2026-10-24T00:00:00"]),
)
def test_it_is_every_minute_that_matches(minute: int, hours: set[int], days: set[int], zone: str, start: str) -> None:
    """Against the plain way: every minute of three days around a change of the clocks, looked at by itself."""
    said = timing(f"cron({minute} {','.join(map(str, hours))} ? * {','.join(map(str, days))} *)", zone)
    begin, end = ms(start), ms(start) + 3 * DAY_MS
    expected = []
    for at in range(begin + MINUTE_MS, end + 1, MINUTE_MS):
        local = datetime.fromtimestamp(at / 1_000, zone_of(zone))
        matches = local.minute == minute and local.hour in hours and local.isoweekday() % 7 + 1 in days
        if matches and local.fold == 0:
            expected.append(at)
    found, at_ms = [], begin
    while (following := said.next_after(at_ms)) is not None and following <= end:
        found.append(following)
        at_ms = following
    assert found == expected
