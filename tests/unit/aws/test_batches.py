"""Batches: how entries are split, and which are sent again."""

from itertools import pairwise

from botocore.exceptions import ClientError, ConnectionClosedError
from hypothesis import given
from hypothesis import strategies as st

from pushlane.aws.backoff import Backoff
from pushlane.aws.batches import Limits, Unsent, chunks, send_all

LIMITS = Limits(entries=3, size_bytes=100)
NO_PAUSE = Backoff(sends_max=3, sleep=lambda _: None)


def refused(code: str = "AccessDenied", status: int = 403) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Send")  # type: ignore[typeddict-item]  # the parts that are read


@given(st.lists(st.integers(0, 100)))
def test_chunks_keep_every_entry_in_order_within_both_limits(sizes: list[int]) -> None:
    split = list(chunks(range(len(sizes)), sizes, LIMITS))
    assert [index for chunk in split for index in chunk] == list(range(len(sizes)))
    assert all(1 <= len(chunk) <= 3 and sum(sizes[index] for index in chunk) <= 100 for chunk in split)


@given(st.lists(st.integers(0, 100)))
def test_chunks_are_as_few_as_a_greedy_split_allows(sizes: list[int]) -> None:
    split = list(chunks(range(len(sizes)), sizes, LIMITS))
    for chunk, following in pairwise(split):
        assert len(chunk) == 3 or sum(sizes[index] for index in [*chunk, following[0]]) > 100


def test_only_the_failed_entries_are_sent_again() -> None:
    sent: list[list[int]] = []

    def send(indexes: list[int]) -> Unsent:
        sent.append(indexes)
        return Unsent(again=[index for index in indexes if index in (1, 4)] if len(sent) <= 2 else [])

    assert send_all("queue", [1] * 5, LIMITS, send, NO_PAUSE) == []
    assert sent == [[0, 1, 2], [3, 4], [1, 4]]


def test_entries_that_fail_every_time_are_named_after_a_bounded_number_of_sends() -> None:
    sent: list[list[int]] = []

    def send(indexes: list[int]) -> Unsent:
        sent.append(indexes)
        return Unsent(again=[1])

    assert send_all("queue", [1, 1], LIMITS, send, NO_PAUSE) == [1]
    assert sent == [[0, 1], [1], [1]]


def test_entries_refused_for_good_are_not_sent_again() -> None:
    sent: list[list[int]] = []

    def send(indexes: list[int]) -> Unsent:
        sent.append(indexes)
        return Unsent(never=[0])

    assert send_all("queue", [1, 1], LIMITS, send, NO_PAUSE) == [0]
    assert sent == [[0, 1]]


def test_an_entry_over_the_limit_is_not_sent_and_does_not_stop_the_others() -> None:
    sent: list[list[int]] = []

    def send(indexes: list[int]) -> Unsent:
        sent.append(indexes)
        return Unsent()

    assert send_all("queue", [100, 101, 1], LIMITS, send, NO_PAUSE) == [1]
    assert sent == [[0], [2]]


def test_a_lost_call_is_sent_again_whole() -> None:
    sent: list[list[int]] = []

    def send(indexes: list[int]) -> Unsent:
        sent.append(indexes)
        if len(sent) == 1:
            raise ConnectionClosedError(endpoint_url="http://x")
        return Unsent()

    assert send_all("queue", [1, 1], LIMITS, send, NO_PAUSE) == []
    assert sent == [[0, 1], [0, 1]]


def test_a_call_refused_for_one_entry_still_delivers_the_others() -> None:
    delivered: list[int] = []

    def send(indexes: list[int]) -> Unsent:
        if 1 in indexes:
            raise refused("InvalidParameter", 400)
        delivered.extend(indexes)
        return Unsent()

    assert send_all("topic", [1] * 3, LIMITS, send, NO_PAUSE) == [1]
    assert delivered == [0, 2]


def test_a_channel_that_refuses_everything_names_everything() -> None:
    def send(indexes: list[int]) -> Unsent:
        raise refused()

    assert send_all("queue", [1] * 7, LIMITS, send, NO_PAUSE) == list(range(7))
