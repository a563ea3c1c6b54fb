"""The store's time from dates with whole seconds."""

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.aws.clock import StoreClock

START_MS = 1_700_000_000_000
ROUND_TRIP_MS_MAX = 200

step = st.tuples(st.integers(0, 5_000), st.integers(0, ROUND_TRIP_MS_MAX), st.integers(0, 100))


class World:
    """True time, a monotonic clock with another origin, and a wall clock that is wrong by `skew_ms`."""

    def __init__(self, skew_ms: int) -> None:
        self.elapsed_ms = 0
        self.skew_ms = skew_ms
        self.clock = StoreClock(wall=lambda: self.true_ms + self.skew_ms, monotonic=lambda: self.elapsed_ms + 77)

    @property
    def true_ms(self) -> int:
        return START_MS + self.elapsed_ms

    def respond(self, round_trip_ms: int, answered_percent: int) -> None:
        sent = self.elapsed_ms + 77
        answered_after = round_trip_ms * answered_percent // 100
        date_ms = (self.true_ms + answered_after) // 1_000 * 1_000
        self.elapsed_ms += round_trip_ms
        self.clock.observe(date_ms, sent, self.elapsed_ms + 77)


@given(st.integers(-10_000_000, 10_000_000), st.lists(step, min_size=1, max_size=30))
def test_after_a_response_the_time_is_right_to_a_second_and_a_round_trip_and_never_goes_back(
    skew_ms: int, steps: list[tuple[int, int, int]]
) -> None:
    world = World(skew_ms)
    before = 0
    for pause_ms, round_trip_ms, answered_percent in steps:
        world.elapsed_ms += pause_ms
        world.respond(round_trip_ms, answered_percent)
        now = world.clock.now_ms()
        assert abs(now - world.true_ms) <= 1_000 + ROUND_TRIP_MS_MAX
        assert now >= before
        before = now


@given(st.lists(step, min_size=1, max_size=30))
def test_a_right_wall_clock_is_left_alone(steps: list[tuple[int, int, int]]) -> None:
    world = World(0)
    for pause_ms, round_trip_ms, answered_percent in steps:
        world.elapsed_ms += pause_ms
        world.respond(round_trip_ms, answered_percent)
        assert world.clock.now_ms() == world.true_ms


def test_responses_at_many_phases_of_the_second_narrow_the_error_down() -> None:
    world = World(3_600_000)
    for _ in range(50):
        world.elapsed_ms += 1_037
        world.respond(4, 50)
    assert abs(world.clock.now_ms() - world.true_ms) <= 50


def test_until_the_first_response_it_is_the_local_clock() -> None:
    world = World(5_000)
    assert world.clock.now_ms() == START_MS + 5_000


def test_the_first_response_may_set_a_wrong_local_clock_back() -> None:
    world = World(3_600_000)
    assert world.clock.now_ms() == START_MS + 3_600_000
    world.respond(10, 50)
    assert abs(world.clock.now_ms() - world.true_ms) <= 1_010


def test_a_monotonic_clock_that_stood_still_is_corrected_by_the_next_response() -> None:
    frozen, offset = World(0), 600_000
    frozen.respond(10, 50)
    frozen.clock.observe(frozen.true_ms // 1_000 * 1_000 + offset, frozen.elapsed_ms + 77, frozen.elapsed_ms + 77)
    assert abs(frozen.clock.now_ms() - (frozen.true_ms + offset)) <= 1_010


def test_time_goes_on_between_responses() -> None:
    world = World(-50_000)
    world.respond(10, 50)
    first = world.clock.now_ms()
    world.elapsed_ms += 7_000
    assert world.clock.now_ms() == first + 7_000


@pytest.mark.parametrize("status", [200, 400])
def test_it_listens_to_the_answers_of_a_client(status: int) -> None:
    client = boto3.client("dynamodb", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
    clock = StoreClock(wall=lambda: 0, monotonic=lambda: 5)
    clock.listen(client)
    date = format_datetime(datetime.fromtimestamp(START_MS / 1_000, UTC), usegmt=True)
    _answer(client, status, date)
    assert clock.now_ms() == START_MS


def test_an_answer_without_a_date_changes_nothing() -> None:
    client = boto3.client("dynamodb", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
    clock = StoreClock(wall=lambda: 42, monotonic=lambda: 5)
    clock.listen(client)
    _answer(client, 200, None)
    assert clock.now_ms() == 42


def _answer(client: Any, status: int, date: str | None) -> None:
    """One call that the network never sees."""
    headers = {} if date is None else {"date": date}
    metadata = {"HTTPStatusCode": status, "HTTPHeaders": headers}

    class Response:
        status_code = status

    def respond(**_: Any) -> tuple[Response, dict[str, Any]]:
        return Response(), {"ResponseMetadata": metadata, "Error": {"Code": "X"}, "TableNames": []}

    # Handlers of the wider event name run last, and the first one that answers ends the round.
    client.meta.events.register("before-call", respond)
    if status == 200:
        client.list_tables()
    else:
        with pytest.raises(client.exceptions.ClientError):
            client.list_tables()
