"""When a failed call is sent again, and when it is not."""

import pytest

from pushlane.client.api.errors import (
    ApiError,
    Conflict,
    DeadlineExceeded,
    RateLimited,
    Unavailable,
    error_of,
    no_answer,
)
from pushlane.client.api.exchange import Answer, Call
from pushlane.client.api.retrying import Retrying, Sending


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def sending(clock: Clock, *, repeatable: bool = True, **rules: float) -> Sending:
    call = Call(method="POST", path="/v1/tasks", repeatable=repeatable)
    return Sending(call, Retrying(**rules), clock, lambda: 1.0)  # type: ignore[arg-type]  # numbers of either kind


def refused(status: int, **headers: str) -> ApiError:
    return error_of(Answer(status=status, headers=headers))


def test_pauses_grow_up_to_their_bound() -> None:
    one = sending(Clock(), base_seconds=0.1, pause_seconds_max=0.5, sends_max=6)
    pauses = []
    for _ in range(5):
        one.answer_seconds()
        pauses.append(one.pause_after(no_answer("reset")))
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.5, 0.5])
    one.answer_seconds()
    with pytest.raises(Unavailable, match="reset"):
        one.pause_after(no_answer("reset"))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422])
def test_what_a_repeat_cannot_mend_is_raised_at_once(status: int) -> None:
    one = sending(Clock())
    one.answer_seconds()
    with pytest.raises(ApiError) as raised:
        one.pause_after(refused(status))
    assert raised.value.status == status


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_call_that_is_not_repeatable_is_sent_once(status: int) -> None:
    one = sending(Clock(), repeatable=False)
    one.answer_seconds()
    with pytest.raises(Unavailable):
        one.pause_after(refused(status))


def test_no_room_is_asked_again_when_it_says_so_even_if_not_repeatable() -> None:
    one = sending(Clock(), repeatable=False, deadline_seconds=10.0)
    one.answer_seconds()
    assert one.pause_after(refused(429, **{"retry-after": "7"})) == 7.0


def test_no_room_for_longer_than_the_deadline_is_said_at_once() -> None:
    one = sending(Clock(), deadline_seconds=10.0)
    one.answer_seconds()
    with pytest.raises(RateLimited) as raised:
        one.pause_after(refused(429, **{"retry-after": "11"}))
    assert raised.value.retry_after_seconds == 11.0


def test_the_deadline_bounds_answers_and_pauses() -> None:
    clock = Clock()
    one = sending(clock, deadline_seconds=10.0, answer_seconds=8.0, base_seconds=1.0)
    assert one.answer_seconds() == 8.0
    clock.now += 7.0
    one.pause_after(no_answer("slow"))
    assert one.answer_seconds() == 3.0
    clock.now += 2.5
    with pytest.raises(DeadlineExceeded, match="10 s are over after 2 attempts: slow"):
        one.pause_after(no_answer("slow"))


def test_a_problem_document_becomes_its_error() -> None:
    body = (
        b'{"type":"urn:pushlane:problem:key-conflict","title":"Conflict","status":409,"detail":"used for another body",'
        b'"instance":"/v1/tasks","request_id":"r-1","new_field":1}'
    )
    error = error_of(Answer(status=409, body=body))
    assert isinstance(error, Conflict)
    assert (error.code, error.detail, error.request_id) == ("key-conflict", "used for another body", "r-1")
    assert "request r-1" in str(error)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"message":"Forbidden"}', b"\xff", b"[" * 5_000])
def test_an_answer_of_a_gateway_is_still_an_error_of_its_kind(body: bytes) -> None:
    assert type(error_of(Answer(status=503, body=body))) is Unavailable
