"""Any sequence of broken connections gives the full ordered sequence once, or says what is missing."""

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.client.api.errors import ApiError, NotFound, Unavailable
from pushlane.client.api.exchange import Answer
from pushlane.client.api.streams import Stream, following
from pushlane.client.api.watching import Expired, StreamBroken
from pushlane.model.timeline import LoggedEvent, Origin


def event(sequence: int, kind: str = "token", origin: Origin = Origin.AGENT, task_id: str = "t-1") -> LoggedEvent:
    return LoggedEvent(
        task_id=task_id, sequence=sequence, origin=origin, kind=kind, at_ms=sequence, source_id=str(sequence)
    )


LAST = 30
LOG = [*(event(n) for n in range(1, LAST)), event(LAST, "TaskSucceeded", Origin.FACT)]


def as_sse(events: list[LoggedEvent]) -> bytes:
    parts = [f"id: {e.sequence}\nevent: {e.kind}\ndata: {msgspec.json.encode(e).decode()}\n\n" for e in events]
    return ("retry: 100\n\n" + "".join(parts)).encode()


def as_frame(events: list[LoggedEvent], stream: str = "t-1") -> bytes:
    return msgspec.json.encode({"type": "events", "stream": stream, "events": events})


@given(st.integers(min_value=0, max_value=2**32))
def test_any_cuts_and_repeats_give_the_whole_sequence_once(seed: int) -> None:
    chance = random.Random(seed)
    follow = following(Stream("task", "t-1"), 0, chance.random)
    seen = []
    while not follow.over:
        asked = int(follow.sse_call().headers.get("last-event-id", "0"))
        start = max(0, asked - chance.randint(0, 3))  # a server may say again what it is not sure of
        data = as_sse(LOG[start : start + chance.randint(0, 9)])
        cut = data[: chance.randint(0, len(data))] if chance.random() < 0.5 else data
        place = 0
        while place < len(cut) and not follow.over:
            size = chance.randint(1, 400)
            seen += follow.chunk(cut[place : place + size])
            place += size
        assert follow.closed() >= 0.0
    assert seen == LOG


@given(st.integers(min_value=0, max_value=2**32))
def test_frames_over_any_connections_give_the_whole_sequence_once(seed: int) -> None:
    chance = random.Random(seed)
    follow = following(Stream("task", "t-1"), 0, chance.random)
    seen = []
    while not follow.over:
        after = msgspec.json.decode(follow.subscription())["after"]
        place = max(0, after - chance.randint(0, 3))
        for _ in range(chance.randint(0, 4)):
            size = chance.randint(0, 4)
            seen += follow.frame(as_frame(LOG[place : place + size]))
            seen += follow.frame(as_frame([event(1_000)], "t-another"))
            place += size
    assert seen == LOG


def test_a_gap_breaks_the_connection_and_is_not_handed_on() -> None:
    follow = following(Stream("task", "t-1"), 0, lambda: 0.0)
    follow.frame(as_frame(LOG[:2]))
    with pytest.raises(StreamBroken, match="event 5 came after 2"):
        follow.frame(as_frame([LOG[4]]))
    assert follow.after == 2


def test_the_end_of_a_child_is_not_the_end() -> None:
    follow = following(Stream("task", "t-1"), 0, lambda: 0.0)
    follow.frame(as_frame([event(1, "TaskSucceeded", Origin.FACT, "t-child")]))
    assert not follow.over
    follow.frame(as_frame([event(2, "TaskSucceeded", Origin.FACT)]))
    assert follow.over


def test_what_is_told_behind_the_end_does_not_undo_it() -> None:
    follow = following(Stream("task", "t-1"), 0, lambda: 0.0)
    told = [event(1, "TaskSucceeded", Origin.FACT), event(2, "ResultStale", Origin.FACT)]
    assert follow.frame(as_frame(told)) == told
    assert follow.over


def test_what_is_gone_is_said_once_and_the_stream_goes_on() -> None:
    follow = following(Stream("task", "t-1"), 0, lambda: 0.0)
    gone = msgspec.json.encode({"type": "expired", "stream": "t-1", "last": 7, "snapshot": {"status": "PARKED"}})
    [said] = follow.frame(gone)
    assert said == Expired(last=7, stream="t-1", snapshot={"status": "PARKED"})
    assert follow.frame(gone) == []
    assert follow.frame(as_frame(LOG[7:9])) == LOG[7:9]
    assert follow.sse_call().headers["last-event-id"] == "9"


def test_what_is_gone_from_the_beginning_is_resumed_at_zero() -> None:
    follow = following(Stream("task", "t-1"), 0, lambda: 0.0)
    assert "last-event-id" not in follow.sse_call().headers
    data = b'id: 0\nevent: expired\ndata: {"type":"expired","stream":"t-1","last":0,"snapshot":null}\n\n'
    assert follow.chunk(data) == [Expired(last=0, stream="t-1")]
    assert follow.sse_call().headers["last-event-id"] == "0"
    follow.answered(204)
    assert follow.over


def test_a_dead_letter_ends_a_wait_and_not_a_watch() -> None:
    dead = as_frame([event(1, "TaskDeadLettered", Origin.FACT)])
    watch, wait = (following(Stream("task", "t-1"), 0, lambda: 0.0, rest_too=rest) for rest in (False, True))
    watch.frame(dead)
    wait.frame(dead)
    assert (watch.over, wait.over) == (False, True)


def test_refusals_that_time_mends_are_waited_for_and_others_raised() -> None:
    follow = following(Stream("task", "t-1"), 0, lambda: 1.0)
    pauses = [follow.lost(ConnectionError("reset")) for _ in range(3)]
    assert pauses == pytest.approx([0.1, 0.2, 0.4])
    assert follow.lost(Unavailable(503, "unavailable", "", retry_after_seconds=4.0)) == 4.0
    follow.frame(as_frame(LOG[:1]))  # something came: the next loss is the first
    assert follow.lost(ConnectionError("reset")) == pytest.approx(0.1)
    with pytest.raises(NotFound):
        follow.lost(NotFound(404, "unknown-task", ""))


def test_a_refused_subscription_is_its_error() -> None:
    follow = following(Stream("task", "t-1"), 0, lambda: 0.0)
    problem = {"type": "urn:pushlane:problem:unknown-task", "status": 404, "detail": "no task of this id is known"}
    with pytest.raises(NotFound, match="no task of this id"):
        follow.frame(msgspec.json.encode({"type": "error", "action": "subscribe", "problem": problem}))
    assert follow.frame(b'{"type":"pong"}') == []
    with pytest.raises(StreamBroken):
        follow.frame(b"\xff")


def test_a_look_finds_the_end_that_was_seen_before() -> None:
    follow = following(Stream("workflow", "w-1"), 9, lambda: 0.0)
    assert follow.look_call().path == "/v1/workflows/w-1/events?after=9&limit=1&wait_seconds=0"
    follow.looked(Answer(status=200, body=b'{"events":[{"any":1}],"ended":true}'))
    over = [follow.over]
    follow.looked(Answer(status=200, body=b'{"events":[],"ended":true,"last":9}'))
    over.append(follow.over)
    assert over == [False, True]
    with pytest.raises(ApiError):
        follow.looked(Answer(status=404))
