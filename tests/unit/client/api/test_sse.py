"""Server-Sent Events, however the bytes are cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.client.api.sse import ServerEvent, SseParser

STREAM = (
    "\ufeffretry: 100\r\n\r\n"
    ": a comment\n"
    'id: 1\nevent: TaskAccepted\ndata: {"a":\ndata: "ü"}\n\n'
    "data:no space\r\rid\nevent: x\n\n"
    "id: 2\rdata:  two spaces\r\r"
    "data: never finished"
).encode()
EXPECTED = [
    ServerEvent(kind="TaskAccepted", data='{"a":\n"ü"}', event_id="1"),
    ServerEvent(kind="message", data="no space", event_id="1"),
    ServerEvent(kind="message", data=" two spaces", event_id="2"),
]


@given(st.lists(st.integers(min_value=0, max_value=len(STREAM)), max_size=12))
def test_any_cut_gives_the_same_events(cuts: list[int]) -> None:
    parser = SseParser()
    places = [0, *sorted(cuts), len(STREAM)]
    found = [event for a, b in pairwise(places) for event in parser.feed(STREAM[a:b])]
    assert found == EXPECTED
    assert parser.retry_ms == 100


@pytest.mark.parametrize("line", ["retry: 1s", "retry: -1", "retry: ٣", "id: a\0b", "unknown: x", "event"])
def test_lines_that_mean_nothing_are_passed_over(line: str) -> None:
    parser = SseParser()
    [event] = parser.feed(f"id: 7\n{line}\ndata: x\n\n".encode())
    assert event == ServerEvent(kind="message", data="x", event_id="7")
    assert parser.retry_ms is None
