"""What is kept of a task whose retries are used up, and which failures lead there."""

from typing import Any

import msgspec
import pytest

from pushlane.model.attempt import ErrorDetail
from pushlane.state.dead import graves
from pushlane.state.items import task_of
from pushlane.testing import InMemoryDispatcher
from tests.unit.router.by_hand import a_dispatcher, assert_idle, running, say, stored

RETRY = {"max_attempts": 2, "backoff_seconds": 1}


def history(dispatcher: InMemoryDispatcher, task_id: str) -> list[dict[str, Any]]:
    found = stored(dispatcher, task_id)
    epochs = range(1, int(str(found["epoch"])) + 1)
    return [msgspec.json.decode(str(found[f"error_{epoch}"])) for epoch in epochs if f"error_{epoch}" in found]


def test_it_keeps_payload_error_history_and_where_it_stopped_and_holds_nothing() -> None:
    dispatcher = a_dispatcher()
    first = running(dispatcher, "task", payload={"n": 7}, retry=RETRY)
    first.fail(ErrorDetail(error_type="Boom", message="first"), checkpoint={"page": 1})
    dispatcher.advance(2)
    second = dispatcher.take("one")
    second.fail(ErrorDetail(error_type="Bang", message="second"), checkpoint={"page": 2})
    dispatcher.run_until_idle()
    found = stored(dispatcher, first.task_id)
    assert (found["status"], task_of(found).payload) == ("DEAD_LETTERED", {"n": 7})
    assert [
        (one["epoch"], one["agent_id"], one["type"], one["message"]) for one in history(dispatcher, first.task_id)
    ] == [
        (1, "one", "Boom", "first"),
        (2, "one", "Bang", "second"),
    ]
    assert found["checkpoint"] == '{"page":2}'
    assert "expires_at_s" not in found  # nothing forgets it
    assert [one.task_id for one in graves(dispatcher.store, "default", 10)] == [first.task_id]
    assert_idle(dispatcher)
    dispatcher.advance_with_sweeps(60)
    assert dispatcher.status(first.task_id) == "DEAD_LETTERED"


def test_a_redriven_one_goes_on_where_it_stopped() -> None:
    dispatcher = a_dispatcher()
    first = running(dispatcher, "task", retry={"max_attempts": 1})
    first.fail(checkpoint={"page": 2})
    dispatcher.run_until_idle()
    say(dispatcher, "RedriveTask", first.task_id)
    again = dispatcher.take("one")
    assert (again.task_id, again.dispatch.epoch, again.dispatch.checkpoint) == (first.task_id, 2, {"page": 2})


def test_one_that_fell_silent_keeps_the_checkpoint_of_its_attempt() -> None:
    dispatcher = a_dispatcher()
    first = running(dispatcher, "task", retry={"max_attempts": 1})
    first.check_in(checkpoint={"page": 5})
    dispatcher.advance(910)
    assert dispatcher.status(first.task_id) == "DEAD_LETTERED"
    assert stored(dispatcher, first.task_id)["checkpoint"] == '{"page":5}'


@pytest.mark.parametrize(
    ("retryable", "exhausted", "status"),
    [
        (True, "dead-letter", "DEAD_LETTERED"),
        (True, "fail", "FAILED"),
        (False, "dead-letter", "FAILED"),
        (False, "fail", "FAILED"),
    ],
)
def test_only_what_might_succeed_another_time_is_kept_for_that(retryable: bool, exhausted: str, status: str) -> None:
    dispatcher = a_dispatcher()
    attempt = running(dispatcher, "task", retry={"max_attempts": 1, "exhausted": exhausted})
    attempt.fail(ErrorDetail(error_type="Boom", message="boom", retryable=retryable))
    dispatcher.run_until_idle()
    assert dispatcher.status(attempt.task_id) == status
    assert len(graves(dispatcher.store, "default", 10)) == (status == "DEAD_LETTERED")
