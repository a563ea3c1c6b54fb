"""Doors that see no caller: what is believed, and what goes to quarantine with which code."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from pushlane.model.access_key import KeyKind, KeyStatus
from pushlane.model.envelope_proof import EnvelopeKey
from pushlane.model.principal import Role
from pushlane.router.app import Router
from pushlane.router.vouching import HEARTBEAT_BELIEVED_MS
from pushlane.state.access_keys import revoke_key
from pushlane.testing import InMemoryDispatcher, kinesis_event, submit_envelope
from pushlane.testing.deliveries import HELD
from pushlane.testing.dispatcher import START_MS
from tests.unit.router.vouched import DOOR_OF_ATLAS, Guarded, a_command, a_submission, rotated, signed

WORKFLOW: dict[str, dict[str, Any]] = {
    "metadata": {"name": "SubmitWorkflow", "version": 1},
    "data": {"tenant_id": "atlas", "idempotency_key": "w", "tasks": [{"name": "a", "task_type": "echo"}]},
}
COMMANDS = {
    "CancelTask": a_command("CancelTask", tenant_id="atlas", task_id="t-1"),
    "SignalTask": a_command("SignalTask", tenant_id="atlas", task_id="t-1", name="go", signal_id="s"),
    "RedriveTask": a_command("RedriveTask", tenant_id="atlas", task_id="t-1", epoch=1),
    "DiscardTask": a_command("DiscardTask", tenant_id="atlas", task_id="t-1", epoch=1),
    "CancelWorkflow": a_command("CancelWorkflow", tenant_id="atlas", workflow_id="w-1"),
}
# What comes of a believed command about a task or workflow that does not exist.
OBEYED = {"unknown_task", "unknown_workflow", "not_dead", None}


@pytest.fixture
def guarded() -> Guarded:
    return Guarded()


def test_what_is_signed_is_taken(guarded: Guarded) -> None:
    key = guarded.key()
    assert guarded.send(signed(key, a_submission())) is None
    assert guarded.send(signed(key, WORKFLOW)) is None
    assert guarded.tasks() == {"atlas"}


@pytest.mark.parametrize("envelope", [a_submission(), WORKFLOW, *COMMANDS.values()])
def test_what_nobody_vouches_for_is_refused_with_what_to_do(guarded: Guarded, envelope: dict[str, Any]) -> None:
    assert guarded.send(envelope) == "unsigned_tenant"
    assert "pushlane keys create --kind envelope" in guarded.kept["reason"]
    assert guarded.tasks() == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_signed_command_is_obeyed_and_a_changed_one_is_not(guarded: Guarded, name: str) -> None:
    body = signed(guarded.key(), COMMANDS[name])
    assert guarded.send(body) in OBEYED
    subject = b'"t-1"' if b'"t-1"' in body else b'"w-1"'
    assert guarded.send(body.replace(subject, b'"x-1"')) == "unproven"


def test_a_changed_envelope_is_refused_and_names_no_tenant(guarded: Guarded) -> None:
    said = json.loads(signed(guarded.key(), a_submission()))
    said["data"]["task_type"] = "another"
    assert guarded.send(said) == "unproven"
    assert (guarded.kept["field"], guarded.kept["tenant_id"]) == ("$.metadata.proof", None)


def test_a_key_speaks_for_its_own_tenant_only(guarded: Guarded) -> None:
    key = guarded.key("atlas")
    assert guarded.send(signed(key, a_submission(tenant_id="borea"))) == "foreign_tenant"
    assert guarded.kept["tenant_id"] is None
    assert guarded.send(signed(key, COMMANDS["CancelTask"] | {"data": {"tenant_id": "borea", "task_id": "t"}})) == (
        "foreign_tenant"
    )
    assert guarded.tasks() == set()


def test_an_operator_of_the_installation_speaks_for_every_tenant(guarded: Guarded) -> None:
    key = guarded.key(None, Role.OPERATOR)
    assert guarded.send(signed(key, a_submission(tenant_id="borea"))) is None
    assert guarded.send(signed(key, a_submission(tenant_id="nobody"))) == "unknown_tenant"


KeyOf = Callable[[Guarded], EnvelopeKey]
NO_GOOD: dict[str, KeyOf] = {
    "never made": lambda guarded: msgspec.structs.replace(guarded.key(), key_id="neverwas"),
    "another's id": lambda guarded: msgspec.structs.replace(guarded.key(), key_id=guarded.key("borea").key_id),
    "revoked": lambda guarded: guarded.key(status=KeyStatus.REVOKED),
    "expired": lambda guarded: guarded.key(expires_at_ms=START_MS),
    "an API key": lambda guarded: guarded.key(kind=KeyKind.API),
    "another kid": lambda guarded: guarded.key(kid="k7"),
    "no kid": lambda guarded: guarded.key(kid=None),
    "of an agent": lambda guarded: guarded.key(role=Role.AGENT, pool="default"),
    "a guess": lambda guarded: msgspec.structs.replace(guarded.key(), secret=b"x" * 32),
}


@pytest.mark.parametrize("key_of", NO_GOOD.values(), ids=NO_GOOD.keys())
def test_a_key_that_is_no_good_proves_nothing(guarded: Guarded, key_of: KeyOf) -> None:
    assert guarded.send(signed(key_of(guarded), a_submission())) == "unproven"
    assert guarded.tasks() == set()


def test_a_bad_proof_is_refused_even_where_unsigned_ones_are_believed() -> None:
    guarded = Guarded()
    trusting = InMemoryDispatcher(tenants=("atlas", "borea"))
    guarded.dispatcher = trusting
    assert guarded.send(a_submission()) is None
    assert guarded.send(signed(guarded.key("borea"), a_submission(idempotency_key="k-2"))) == "foreign_tenant"


def test_a_revoked_key_is_refused_a_second_later_at_most(guarded: Guarded) -> None:
    key = guarded.key()
    assert guarded.send(signed(key, a_submission())) is None
    revoke_key(guarded.dispatcher.store, key.key_id)
    guarded.dispatcher.clock.advance(1_000)
    assert guarded.send(signed(key, a_submission(idempotency_key="k-2"))) == "unproven"


def test_a_key_outlives_a_rotation_that_keeps_its_ring_key_and_no_other(guarded: Guarded) -> None:
    key = guarded.key()
    before = guarded.ring
    guarded.ring = rotated(before, keep=True)
    assert guarded.send(signed(key, a_submission())) is None
    assert guarded.send(signed(guarded.key(), a_submission(idempotency_key="k-2"))) is None
    guarded.ring = rotated(before, keep=False)
    assert guarded.send(signed(key, a_submission(idempotency_key="k-3"))) == "unproven"
    assert "not in the ring" in guarded.kept["reason"]


@pytest.mark.parametrize(
    ("envelope", "field"),
    [
        (submit_envelope(), "$.data.idempotency_key"),
        (WORKFLOW | {"data": WORKFLOW["data"] | {"idempotency_key": None}}, "$.data.idempotency_key"),
        (a_command("SignalTask", tenant_id="atlas", task_id="t", name="go"), "$.data.signal_id"),
        (a_command("RedriveTask", tenant_id="atlas", task_id="t"), "$.data.epoch"),
        (a_command("DiscardTask", tenant_id="atlas", task_id="t"), "$.data.epoch"),
    ],
)
def test_what_could_be_repeated_as_something_new_is_refused(
    guarded: Guarded, envelope: dict[str, Any], field: str
) -> None:
    assert guarded.send(signed(guarded.key(), envelope)) == "replayable"
    assert guarded.kept["field"] == field


def test_a_repeated_submission_is_the_same_task(guarded: Guarded) -> None:
    body = signed(guarded.key(), a_submission())
    assert (guarded.send(body), guarded.send(body)) == (None, None)
    guarded.dispatcher.publish()
    assert len([fact for fact in guarded.dispatcher.facts if fact.metadata.name == "TaskAccepted"]) == 1


@pytest.mark.parametrize(
    "proof",
    [
        {},
        {"key_id": "envelope1", "kid": "k0"},
        {"key_id": "envelope1", "kid": "k0", "mac": "0" * 63},
        {"key_id": "envelope1", "kid": "k_0", "mac": "0" * 64},
        {"key_id": "x", "kid": "k0", "mac": "0" * 64},
        {"key_id": "envelope1", "kid": "k0", "mac": "0" * 64, "more": 1},
        "text",
    ],
)
def test_a_malformed_proof_names_its_field(guarded: Guarded, proof: object) -> None:
    said = a_submission()
    said["metadata"] = said["metadata"] | {"proof": proof}
    assert guarded.send(said) == "invalid"
    assert guarded.kept["field"].startswith("$.metadata.proof")


def test_the_proof_holds_on_every_door(guarded: Guarded) -> None:
    key, router = guarded.key(), guarded.dispatcher.router
    router.handle(kinesis_event("arn:stream", [("1", signed(key, a_submission(idempotency_key="kinesis")))]))
    notification = {"Type": "Notification", "MessageId": "n-1"}
    guarded.send(notification | {"Message": signed(key, a_submission(idempotency_key="sns")).decode()})
    of_bus = json.loads(signed(key, a_submission(idempotency_key="bus")))
    guarded.send({"id": "e-1", "detail-type": "SubmitTask", "source": "any", "detail": of_bus})
    guarded.dispatcher.publish()
    assert sorted(str(fact.data.door) for fact in guarded.dispatcher.facts if fact.metadata.name == "TaskAccepted") == [
        "eventbridge",
        "kinesis",
        "sns",
    ]


def test_a_tenants_own_door_vouches_for_it_and_for_no_other(guarded: Guarded) -> None:
    assert guarded.send(submit_envelope(), DOOR_OF_ATLAS) is None
    assert guarded.send(WORKFLOW, DOOR_OF_ATLAS) is None
    assert guarded.send(COMMANDS["CancelTask"], DOOR_OF_ATLAS) in OBEYED
    assert guarded.send(submit_envelope(tenant_id="borea"), DOOR_OF_ATLAS) == "foreign_tenant"
    assert (guarded.kept["tenant_id"], guarded.kept["bound_tenant"]) == ("atlas", "atlas")
    assert (
        guarded.send(signed(guarded.key("borea"), a_submission(tenant_id="borea")), DOOR_OF_ATLAS) == "foreign_tenant"
    )
    assert guarded.tasks() == {"atlas"}


def test_what_came_through_a_tenants_door_keeps_that_while_it_is_held(guarded: Guarded) -> None:
    ports = guarded.dispatcher.router._ports
    ports.held.note("default", "atlas", guarded.dispatcher.clock.now_ms() + 5_000)
    assert guarded.send(submit_envelope(), DOOR_OF_ATLAS) is None
    assert guarded.tasks() == set()
    guarded.dispatcher.clock.advance(5_000)
    [held] = guarded.dispatcher.sender.drain(HELD)
    assert guarded.send(json.loads(held.body), HELD) is None
    assert guarded.tasks() == {"atlas"}


def heartbeat(guarded: Guarded, ago_ms: int = 0, **said: Any) -> dict[str, Any]:
    sent_at_ms = guarded.dispatcher.clock.now_ms() - ago_ms
    return a_command("AgentHeartbeat", **{"pool": "gpu", "agent_id": "one", "sent_at_ms": sent_at_ms, **said})


def test_a_heartbeat_is_believed_from_its_agent_and_for_a_minute(guarded: Guarded) -> None:
    key = guarded.key(None, Role.AGENT, pool="gpu", agent_id="one")
    of_pool = guarded.key(None, Role.AGENT, pool="gpu")
    believed = "unknown_agent"  # nobody has registered it
    assert guarded.send(signed(key, heartbeat(guarded))) == believed
    assert guarded.send(signed(of_pool, heartbeat(guarded, HEARTBEAT_BELIEVED_MS))) == believed
    assert guarded.send(signed(guarded.key(None, Role.OPERATOR), heartbeat(guarded))) == believed
    assert guarded.send(signed(key, heartbeat(guarded, HEARTBEAT_BELIEVED_MS + 1))) == "replayable"
    assert guarded.send(signed(key, heartbeat(guarded, -HEARTBEAT_BELIEVED_MS - 1))) == "replayable"
    assert guarded.send(signed(key, heartbeat(guarded, sent_at_ms=None))) == "replayable"
    assert guarded.send(signed(key, heartbeat(guarded, agent_id="two"))) == "unproven"
    assert guarded.send(signed(of_pool, heartbeat(guarded, pool="cpu"))) == "unproven"
    assert guarded.send(signed(guarded.key(), heartbeat(guarded))) == "unproven"
    assert guarded.send(heartbeat(guarded)) == "unproven"
    assert guarded.send(heartbeat(guarded), DOOR_OF_ATLAS) == "unproven"


def test_locally_nothing_has_to_be_signed() -> None:
    dispatcher = InMemoryDispatcher()
    task_id = dispatcher.submit()
    dispatcher.run_until_idle()
    assert dispatcher.task(task_id) is not None


def test_the_store_is_asked_for_a_key_once_a_second(guarded: Guarded) -> None:
    asked: list[str] = []
    ports = msgspec.structs.replace(guarded.ports, access_key=asked.append)
    guarded.dispatcher.router = Router(ports)
    assert guarded.send(a_submission()) == "unsigned_tenant"
    assert asked == []
