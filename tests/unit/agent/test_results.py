"""What an agent gets and returns: normalised, bounded, claim-checked, and the same for everybody who reads it."""

import hashlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec
import pytest

from pushlane.agent import AttemptLost, TaskContext
from pushlane.model.attempt import OutcomeKind, outcome_digest
from pushlane.model.claim_check import INLINE_BYTES_MAX
from pushlane.model.events import FactName, Nudge
from pushlane.model.nesting import NESTING_MAX
from tests.unit.agent.worlds import REMAINING_MS, RESULTS, World, says


@pytest.mark.parametrize("result", [None, "text", [1], 7, ("a", 1)])
def test_a_result_that_is_no_object_fails_for_good(result: Any) -> None:
    world = World(says(result))
    world.run()
    assert world.outcome.error is not None
    assert world.outcome.error.message.endswith(f"returned {type(result).__name__}")
    assert world.outcome.error.retryable is False


@pytest.mark.parametrize("result", [{"a": object()}, {"a": "\ud800"}, MappingProxyType({"a": {1, object()}})])
def test_a_result_that_is_no_json_is_a_failed_attempt(result: Any) -> None:
    world = World(says(result))
    assert world.run() is True
    assert world.outcome.kind is OutcomeKind.FAILED


@pytest.mark.parametrize(
    ("result", "seen"),
    [
        ({"a": float("nan")}, {"a": None}),
        ({"a": float("inf")}, {"a": None}),
        ({"a": (1, (2, 3))}, {"a": [1, [2, 3]]}),
        ({1: "a", 2: {3: "b"}}, {"1": "a", "2": {"3": "b"}}),
        ({"a": {4}}, {"a": [4]}),
        ({"a": 1.0, "b": 10**30, "c": -0.0}, {"a": 1.0, "b": 10**30, "c": -0.0}),
        ({"z": 1, "a": {"y": 1, "b": 2}}, {"a": {"b": 2, "y": 1}, "z": 1}),
        ({"a": "\ufffe\x00\U0001f600"}, {"a": "\ufffe\x00\U0001f600"}),
        ({}, {}),
    ],
    ids=str,
)
def test_what_is_stored_is_what_the_nudge_says_and_what_everybody_reads(result: Any, seen: Any) -> None:
    world = World(says(result))
    assert world.run() is True
    [nudge] = world.dispatcher.sender.drain(RESULTS)
    told = msgspec.json.decode(nudge.body, type=Nudge).outcome
    assert told.result == seen
    assert outcome_digest(told) == outcome_digest(world.outcome) == world.stored["outcome_digest"]
    world.dispatcher.sender.send(RESULTS, [nudge])
    assert world.complete() == seen
    assert world.dispatcher.live_attempts() == []


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize(("levels", "taken"), [(NESTING_MAX, True), (NESTING_MAX + 1, False)])
def test_a_result_that_nests_too_deep_for_its_readers_fails_for_good(levels: int, taken: bool) -> None:
    world = World(says(nested(levels)))
    assert world.run() is True
    assert (world.outcome.kind is OutcomeKind.SUCCEEDED) == taken
    world.dispatcher.run_until_idle()
    assert world.dispatcher.status(world.task_id) == ("SUCCEEDED" if taken else "FAILED")


def test_no_depth_of_a_result_ends_an_invocation_without_an_outcome() -> None:
    for levels in (*range(900, 1_010, 5), 5_000):
        world = World(says(nested(levels)))
        assert world.run() is True
        assert world.outcome.kind is OutcomeKind.FAILED
        world.dispatcher.run_until_idle()
        assert world.dispatcher.live_attempts() == []


@pytest.mark.parametrize(("over", "claimed"), [(0, False), (1, True)])
def test_a_result_travels_as_a_claim_check_from_one_byte_too_many_on(over: int, claimed: bool) -> None:
    result = {"text": "x" * (INLINE_BYTES_MAX - len('{"text":""}') + over)}
    world = World(says(result))
    world.run()
    seen = world.complete()
    assert ("$claim_check" in seen) == claimed
    if claimed:
        body = world.dispatcher.blobs.get(seen["$claim_check"]["key"])
        assert msgspec.json.decode(body) == result
        assert hashlib.sha256(body).hexdigest() == seen["$claim_check"]["sha256"]


def claiming(body: bytes, **changed: Any) -> World:
    """A task whose payload lies in the claims as `body`."""
    key = "claims/atlas/one.json"
    claim = {"key": key, "bytes": max(2, len(body)), "sha256": hashlib.sha256(body).hexdigest(), **changed}
    world = World(lambda _ctx, payload: {"got": dict(payload)}, payload={"$claim_check": claim})
    world.dispatcher.blobs.put(key, body)
    return world


def test_a_claimed_payload_is_what_the_author_sees() -> None:
    world = claiming(b'{"a": [1, 2]}')
    world.run()
    assert world.complete() == {"got": {"a": [1, 2]}}


@pytest.mark.parametrize(
    ("world", "message", "retryable"),
    [
        (lambda: claiming(b'{"a": 1}', sha256="0" * 64), "not the one that was claimed", False),
        (lambda: claiming(b"[1]"), "not an object", False),
        (lambda: claiming(b"{half"), "", True),
        (lambda: claiming(b'{"a": 1}', key="claims/atlas/none.json"), "none.json", True),
    ],
    ids=["wrong sha256", "no object", "no json", "not there"],
)
def test_a_claim_that_cannot_be_redeemed_fails_the_attempt(
    world: Callable[[], World], message: str, retryable: bool
) -> None:
    made = world()
    assert made.run() is True
    assert made.outcome.error is not None
    assert message in made.outcome.error.message
    assert made.outcome.error.retryable is retryable


def test_a_check_in_of_a_reclaimed_attempt_says_that_it_is_lost() -> None:
    lost: list[AttemptLost] = []

    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        if ctx.attempt > 1:
            return {"attempt": ctx.attempt}
        ctx.check_in()
        world.dispatcher.advance(REMAINING_MS / 1_000 + 20)
        try:
            ctx.check_in()
        except AttemptLost as error:
            lost.append(error)
            raise
        return {"attempt": "zombie"}

    world = World(work)
    assert world.run() is False
    assert [str(error) for error in lost] == [f"attempt 1 of {world.task_id} is not current any more"]
    assert world.complete() == {"attempt": 2}
    assert "not-finished" in world.events
    stale = [fact for fact in world.dispatcher.facts if fact.metadata.name is FactName.RESULT_STALE]
    assert stale == []
