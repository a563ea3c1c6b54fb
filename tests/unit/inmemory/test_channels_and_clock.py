"""Queues with delays on a clock that is told the time."""

import pytest

from pushlane.inmemory import InMemorySender, ManualClock
from pushlane.ports import Message


def test_messages_come_out_when_their_delay_is_over_in_the_order_in_which_they_became_visible() -> None:
    clock = ManualClock(1_000)
    sender = InMemorySender(clock)
    assert sender.send("q", [Message("c", delay_seconds=2), Message("b", delay_seconds=1), Message("a")]) == []
    assert [message.body for message in sender.drain("q")] == ["a"]
    assert sender.next_visible_ms() == 2_000
    clock.advance(1_999)
    assert [message.body for message in sender.drain("q")] == ["b"]
    clock.advance(1)
    sender.send("q", [Message("d")])
    assert [message.body for message in sender.drain("q", limit=1)] == ["c"]
    assert sender.queue_urls() == ["q"]
    assert [message.body for message in sender.drain("q")] == ["d"]
    assert (sender.next_visible_ms(), sender.queue_urls(), sender.drain("other")) == (None, [], [])


def test_what_sqs_would_not_take_or_the_test_refuses_is_named() -> None:
    sender = InMemorySender(ManualClock(0), refuse=lambda url, message: (url, message.body) == ("q", "bad"))
    messages = [Message(""), Message("x" * 1_048_577), Message("a", delay_seconds=901), Message("bad"), Message("good")]
    assert sender.send("q", messages) == [0, 1, 2, 3]
    assert sender.drain("q") == [Message("good")]


def test_a_manual_clock_only_goes_forward() -> None:
    clock = ManualClock(5)
    clock.advance(0)
    clock.advance(10)
    assert clock.now_ms() == 15
    with pytest.raises(ValueError, match="-1"):
        clock.advance(-1)
