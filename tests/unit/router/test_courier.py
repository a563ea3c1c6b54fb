"""Completion callbacks, from the submission to what the receiver gets."""

import hashlib
from typing import Any

import msgspec
import pytest

from pushlane.model.callback import OVERLAP_SECONDS, callback_secret, signing_secrets
from pushlane.model.claim_check import ClaimCheck, as_value, claim_key
from pushlane.model.events import FactName
from pushlane.model.target_url import Answer, InvalidTarget, TargetUnreachable
from pushlane.model.webhook_signature import verified_id
from pushlane.ports import Delete
from pushlane.router.callback_delivery import RESULT_BYTES_MAX
from pushlane.router.courier import RECEIVES_MAX, WAITS_SECONDS, wait_seconds
from pushlane.state import keys
from pushlane.state.callbacks import callback_key, callback_settings, rotate_secret
from pushlane.testing.dispatcher import RING
from tests.unit.router.courier_world import CALLBACKS, URL, CourierWorld, as_event

OWN = "https://own.example/x"


@pytest.fixture
def world() -> CourierWorld:
    return CourierWorld()


def done(world: CourierWorld, result: dict[str, Any] | None = None, **data: Any) -> str:
    """A task from its submission to its success."""
    task_id = world.dispatcher.submit(task_type="echo", **data)
    world.dispatcher.run_until_idle()
    world.dispatcher.take("one").succeed(result or {"said": "hello"})
    world.dispatcher.run_until_idle()
    return task_id


def test_the_end_of_a_task_is_told_to_its_tenants_default_signed(world: CourierWorld) -> None:
    settings = world.set_default()
    task_id = done(world)
    assert [fact.name for fact in world.told()] == ["TaskSucceeded"]
    assert world.deliver_told() == []
    [(url, headers, body)] = world.receiver.posted
    secrets = signing_secrets(RING, settings, world.dispatcher.clock.now_ms())
    [fact] = world.dispatcher.facts_of(FactName.TASK_SUCCEEDED)
    now_seconds = world.dispatcher.clock.now_ms() // 1_000
    assert verified_id(secrets, headers, body, now_seconds) == fact.metadata.fact_id
    assert (url, headers["content-type"]) == (URL, "application/json")
    said = msgspec.json.decode(body)
    assert (said["type"], said["data"]["task_id"], said["data"]["result"]) == (
        "TaskSucceeded",
        task_id,
        {"said": "hello"},
    )
    assert said["metadata"] == msgspec.to_builtins(fact.metadata)
    assert said["timestamp"].endswith("Z")


def test_a_task_without_callback_is_told_nowhere_and_its_facts_say_so(world: CourierWorld) -> None:
    done(world)
    assert world.told() == []


def test_a_tasks_own_callback_goes_before_the_default(world: CourierWorld) -> None:
    world.set_default()
    done(world, callback={"url": OWN})
    world.deliver_told()
    assert [url for url, _, _ in world.receiver.posted] == [OWN]


def test_the_default_is_that_of_the_acceptance(world: CourierWorld) -> None:
    world.set_default()
    world.dispatcher.submit(task_type="echo")
    world.dispatcher.run_until_idle()
    world.set_default(events=("TaskFailed",))
    world.dispatcher.take("one").succeed({})
    world.dispatcher.run_until_idle()
    assert len(world.told()) == 1


def test_only_the_events_that_are_asked_for_are_told(world: CourierWorld) -> None:
    world.set_default()
    done(world, callback={"url": OWN, "events": ["TaskFailed"]})
    assert world.told() == []


def test_a_dead_letter_is_told_and_so_is_its_end_after_a_redrive(world: CourierWorld) -> None:
    world.set_default()
    task_id = world.dispatcher.submit(task_type="echo", retry={"max_attempts": 1})
    world.dispatcher.run_until_idle()
    world.dispatcher.take("one").fail()
    world.dispatcher.run_until_idle()
    world.dispatcher.command("RedriveTask", task_id=task_id)
    world.dispatcher.run_until_idle()
    world.dispatcher.advance(5)
    world.dispatcher.take("one").succeed({})
    world.dispatcher.run_until_idle()
    assert [fact.name for fact in world.told()] == ["TaskDeadLettered", "TaskSucceeded"]
    world.deliver_told()
    assert len({headers["webhook-id"] for _, headers, _ in world.receiver.posted}) == 2


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"url": "http://own.example/"}, "bad_url"),
        ({"url": "https://10.0.0.1/"}, "bad_url"),
        ({"url": "https://a@own.example/"}, "bad_url"),
        ({"url": ""}, "invalid"),
        ({"url": OWN, "events": []}, "invalid"),
        ({"url": OWN, "events": ["TaskDispatched"]}, "invalid"),
        ({"url": OWN, "secret": "x"}, "invalid"),
        ({}, "invalid"),
    ],
)
def test_a_callback_that_cannot_be_told_is_refused_at_the_door(
    world: CourierWorld, said: dict[str, Any], code: str
) -> None:
    world.set_default()
    task_id = world.dispatcher.submit(task_type="echo", callback=said)
    world.dispatcher.run_until_idle()
    [kept] = world.dispatcher.quarantined()
    assert (kept["code"], kept["field"].startswith("$.data.callback")) == (code, True)
    assert world.dispatcher.status(task_id) is None


def test_a_callback_of_a_tenant_without_a_secret_is_refused(world: CourierWorld) -> None:
    world.dispatcher.submit(task_type="echo", callback={"url": OWN})
    world.dispatcher.run_until_idle()
    [kept] = world.dispatcher.quarantined()
    assert kept["code"] == "no_callback_secret"
    rotate_secret(world.dispatcher.store, "atlas", RING.current, 0, 60)
    done(world, callback={"url": OWN})
    assert len(world.told()) == 1


def test_a_repeat_with_another_callback_is_a_conflict(world: CourierWorld) -> None:
    world.set_default()
    for url in (OWN, OWN, "https://other.example/"):
        world.dispatcher.submit(task_type="echo", idempotency_key="k", callback={"url": url})
        world.dispatcher.run_until_idle()
    assert [kept["code"] for kept in world.dispatcher.quarantined()] == ["key_conflict"]


def test_tasks_of_a_workflow_do_not_take_the_default(world: CourierWorld) -> None:
    world.set_default()
    world.dispatcher.send(
        {
            "metadata": {"name": "SubmitWorkflow", "version": 1},
            "data": {"tenant_id": "atlas", "tasks": [{"name": "a", "task_type": "echo"}]},
        }
    )
    world.dispatcher.run_until_idle()
    world.dispatcher.take("one").succeed({})
    world.dispatcher.run_until_idle()
    assert world.told() == []


@pytest.mark.parametrize("status", [300, 301, 400, 404, 410, 429, 500, 503])
def test_what_is_not_taken_comes_again_as_the_same_delivery(world: CourierWorld, status: int) -> None:
    world.set_default()
    done(world)
    world.receiver.answers = [Answer(status=status, headers={}, body=b"")]
    assert world.deliver_told() == ["m0"]
    assert world.postponed.said == [(CALLBACKS, "r0", WAITS_SECONDS[0])]
    world.dispatcher.advance(60)
    assert world.deliver_told(receives=2) == []
    [first, second] = world.receiver.posted
    assert (first[1]["webhook-id"], first[2]) == (second[1]["webhook-id"], second[2])
    assert first[1]["webhook-signature"] != second[1]["webhook-signature"]


@pytest.mark.parametrize("error", [TargetUnreachable("refused"), InvalidTarget("private")])
def test_what_cannot_be_reached_comes_again_and_holds_up_nobody(
    world: CourierWorld, error: InvalidTarget | TargetUnreachable
) -> None:
    world.set_default()
    done(world)
    done(world)
    world.receiver.answers = [error]
    assert world.deliver_told() == ["m0"]
    assert len(world.receiver.posted) == 2


def test_the_waits_grow_and_a_receiver_may_ask_for_more() -> None:
    waits = [wait_seconds(receives, 0.5, None) for receives in range(1, RECEIVES_MAX)]
    assert waits == sorted(waits) == list(WAITS_SECONDS[:-1])
    assert 2_700 < sum(WAITS_SECONDS) < 4_500
    assert {wait_seconds(2, chance, None) for chance in (0.0, 0.999)} == {24, 36}
    busy = Answer(status=429, headers={"retry-after": "700"}, body=b"")
    assert wait_seconds(1, 0.5, busy) == 700
    assert wait_seconds(6, 0.5, busy) == 900
    for asked, seconds in (("999999", 3_600), ("soon", 5), ("-1", 5), ("²", 5), ("9" * 5_000, 5)):
        assert wait_seconds(1, 0.5, Answer(status=429, headers={"retry-after": asked}, body=b"")) == seconds
    assert wait_seconds(RECEIVES_MAX, 0.5, busy) == wait_seconds(99, 0.5, busy) == WAITS_SECONDS[-1]


def test_during_a_rotation_both_secrets_sign(world: CourierWorld) -> None:
    settings = world.set_default()
    done(world)
    clock = world.dispatcher.clock
    rotated = rotate_secret(world.dispatcher.store, "atlas", RING.current, clock.now_ms(), OVERLAP_SECONDS)
    world.dispatcher.advance(1)
    world.deliver_told()
    _, headers, body = world.receiver.posted[0]
    for generation in (settings.secret, rotated.secret):
        assert verified_id([callback_secret(RING, "atlas", generation)], headers, body, clock.now_ms() // 1_000)
    world.dispatcher.advance(OVERLAP_SECONDS)
    world.deliver_told()
    assert world.receiver.posted[1][1]["webhook-signature"].count("v1,") == 1


def claimed(world: CourierWorld, value: dict[str, Any]) -> dict[str, Any]:
    body = msgspec.json.encode(value)
    sha256 = hashlib.sha256(body).hexdigest()
    key = claim_key("atlas", sha256)
    world.dispatcher.blobs.put(key, body)
    return as_value(ClaimCheck(key=key, bytes=len(body), sha256=sha256))


def test_a_claimed_result_is_resolved_up_to_its_bound(world: CourierWorld) -> None:
    world.set_default()
    small, large = {"text": "x" * 100_000}, {"text": "x" * RESULT_BYTES_MAX}
    reference = claimed(world, large)
    done(world, claimed(world, small))
    done(world, reference)
    world.deliver_told()
    assert [said["data"]["result"] for said in world.receiver.bodies] == [small, reference]


def test_a_claimed_result_that_is_gone_or_damaged_stays_a_reference(world: CourierWorld) -> None:
    world.set_default()
    gone, damaged = claimed(world, {"a": 1}), claimed(world, {"a": 2})
    world.dispatcher.blobs.put(gone["$claim_check"]["key"], b"{}")
    world.dispatcher.blobs.put(damaged["$claim_check"]["key"], b"[]")
    done(world, gone)
    done(world, damaged)
    world.deliver_told()
    assert [said["data"]["result"] for said in world.receiver.bodies] == [gone, damaged]


def test_nobody_is_told_of_a_task_that_was_erased(world: CourierWorld) -> None:
    world.set_default()
    task_id = done(world)
    world.dispatcher.store.write(Delete(keys.task_key(task_id)))
    assert world.deliver_told() == []
    assert world.receiver.posted == []


def test_a_tenant_whose_secret_was_erased_is_not_told_unsigned(world: CourierWorld) -> None:
    world.set_default()
    done(world)
    world.dispatcher.store.write(Delete(callback_key("atlas")))
    assert callback_settings(world.dispatcher.store, "atlas") is None
    world.dispatcher.advance(1)
    assert world.deliver_told() == ["m0"]
    assert world.receiver.posted == []


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "{}",
        '{"detail": {}}',
        '{"detail": {"metadata": {"name": "TaskSucceeded", "fact_id": "f"}, "data": {"task_id": "t"}}}',
        '{"detail": {"metadata": {"name": "Other", "fact_id": "f", "occurred_at_ms": 1}, "data": {"task_id": "t"}}}',
        '{"detail": {"metadata": {"name": "TaskFailed", "fact_id": 1, "occurred_at_ms": 1}, "data": {"task_id": "t"}}}',
        "\ud800",
    ],
)
def test_what_is_no_fact_goes_to_the_dead_letters_and_holds_up_nobody(world: CourierWorld, body: str) -> None:
    world.set_default()
    done(world)
    [fact] = world.told()
    assert world.deliver(body, as_event(fact)) == ["m0"]
    assert len(world.receiver.posted) == 1
