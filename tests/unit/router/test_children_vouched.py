"""Children prove their tenant with the reservation token of the attempt that submits them."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from pushlane.agent import TaskContext, agent
from pushlane.model.events import Dispatch
from pushlane.model.keyring import KeyRing
from pushlane.testing import submit_envelope
from tests.unit.router.vouched import DOOR_OF_ATLAS, Guarded, a_submission, rotated, signed

AGENT_QUEUE = "queue/agent/one"


@agent(task_types=("report", "page"))
def report(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    if ctx.task_type == "page":
        return {"text": "a page"}
    return {"text": ctx.submit("page", key="one").result()["text"]}


def test_a_child_of_a_running_attempt_is_taken_where_nothing_unsigned_is() -> None:
    guarded = Guarded()
    guarded.dispatcher.register(report, agent_id="one", slots=2)
    assert guarded.send(signed(guarded.key(), a_submission(task_type="report"))) is None
    guarded.dispatcher.run_until_idle()
    done = [fact.data for fact in guarded.dispatcher.facts if fact.metadata.name == "TaskSucceeded"]
    assert sorted(str(one.task_type) for one in done) == ["page", "report"]
    assert guarded.dispatcher.quarantined() == []


class Attempt:
    """A dispatched attempt of atlas, and what its agent may send."""

    def __init__(self) -> None:
        self.guarded = Guarded()
        self.guarded.dispatcher.register(None, agent_id="one", slots=2, capabilities=("echo",))
        assert self.guarded.send(submit_envelope(), DOOR_OF_ATLAS) is None
        [message] = self.guarded.dispatcher.sender.drain(AGENT_QUEUE)
        self.dispatch = msgspec.json.decode(message.body, type=Dispatch)

    def child(self, token: str | None = None, **data: Any) -> dict[str, Any]:
        parent = {"task_id": self.dispatch.task_id, "attached": False}
        said = a_submission(**{"parent": parent, **data})
        said["metadata"] = said["metadata"] | {"token": token or self.dispatch.token}
        return said


@pytest.fixture
def attempt() -> Attempt:
    return Attempt()


def test_the_token_vouches_for_children_of_its_own_task(attempt: Attempt) -> None:
    assert attempt.guarded.send(attempt.child()) is None


@pytest.mark.parametrize(
    ("said", "code", "field"),
    [
        ({"tenant_id": "borea"}, "foreign_tenant", "$.data.tenant_id"),
        ({"parent": None}, "unproven", "$.data.parent"),
        ({"parent": {"task_id": "t-another", "attached": False}}, "unproven", "$.data.parent"),
        ({"idempotency_key": None}, "replayable", "$.data.idempotency_key"),
        ({"token": "a.b.c"}, "unproven", "$.metadata.token"),
        ({"token": "x" * 8_193}, "invalid", "$.metadata.token"),
    ],
)
def test_and_for_nothing_else(attempt: Attempt, said: dict[str, Any], code: str, field: str) -> None:
    assert attempt.guarded.send(attempt.child(**said)) == code
    assert attempt.guarded.kept["field"] == field


def test_a_changed_or_expired_token_vouches_for_nothing(attempt: Attempt) -> None:
    header, body, signature = attempt.dispatch.token.split(".")
    assert attempt.guarded.send(attempt.child(f"{header}.{body}.{signature[::-1]}")) == "unproven"
    attempt.guarded.dispatcher.clock.advance(15 * 24 * 3_600_000)
    assert attempt.guarded.send(attempt.child()) == "unproven"


def test_a_token_outlives_a_rotation_that_keeps_its_key(attempt: Attempt) -> None:
    before: KeyRing = attempt.guarded.ring
    attempt.guarded.ring = rotated(before, keep=True)
    assert attempt.guarded.send(attempt.child()) is None
    attempt.guarded.ring = rotated(before, keep=False)
    assert attempt.guarded.send(attempt.child(idempotency_key="k-2")) == "unproven"


def test_a_token_says_nothing_about_commands(attempt: Attempt) -> None:
    said = attempt.child()
    said["metadata"]["name"] = "CancelTask"
    said["data"] = {"tenant_id": "atlas", "task_id": attempt.dispatch.task_id}
    assert attempt.guarded.send(json.loads(json.dumps(said))) == "invalid"
    assert attempt.guarded.kept["field"].startswith("$.metadata")
