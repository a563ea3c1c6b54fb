"""What the client sends with an envelope key is what a router takes that believes nothing unsigned."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from pushlane.client import Client, EnvelopeKey, InvalidSubmission
from pushlane.model.task import EVENT_DOORS, Door
from tests.unit.client.doubles import INSTALLATION, RecordingClient, accepting, aws_of
from tests.unit.router.vouched import Guarded

BODIES = {
    "send_message_batch": "MessageBody",
    "publish_batch": "Message",
    "put_events": "Detail",
    "put_records": "Data",
}
WORKFLOW = {"tenant_id": "atlas", "tasks": [{"name": "a", "task_type": "echo"}]}


class Sent:
    """A client with a key of atlas, what it sent, and the router that it is for."""

    def __init__(self) -> None:
        self.guarded = Guarded()
        self.aws = RecordingClient(accepting)
        keys = iter(range(1_000))
        self.key: EnvelopeKey = self.guarded.key("atlas")
        self.client = Client(
            INSTALLATION,
            aws_of(self.aws),
            now_ms=lambda: 5,
            new_key=lambda: f"fresh-{next(keys)}",
            envelope_key=self.key,
        )

    def bodies(self) -> list[dict[str, Any]]:
        found = []
        for name, arguments in self.aws.calls:
            entries = arguments.get("Entries") or arguments.get("PublishBatchRequestEntries") or arguments["Records"]
            found += [json.loads(entry[BODIES[name]]) for entry in entries]
        self.aws.calls.clear()
        return found

    def arrives(self) -> list[str | None]:
        """The codes that all that was sent is refused with."""
        return [self.guarded.send(body) for body in self.bodies()]


@pytest.fixture
def sent() -> Sent:
    return Sent()


@pytest.mark.parametrize("door", EVENT_DOORS)
def test_submissions_and_workflows_are_taken_from_every_door(sent: Sent, door: Door) -> None:
    sent.client.submit_many(
        [{"tenant_id": "atlas", "task_type": "echo", "payload": {"n": n}} for n in range(3)], door=door
    )
    sent.client.submit_workflow(WORKFLOW, door=door)
    assert sent.arrives() == [None] * 4
    assert sent.guarded.tasks() == {"atlas"}


COMMANDS: dict[str, Callable[[Client], object]] = {
    "cancel": lambda client: client.cancel("atlas", "t-1"),
    "cancel a workflow": lambda client: client.cancel_workflow("atlas", "w-1"),
    "signal": lambda client: client.signal("atlas", "t-1", "go"),
    "redrive": lambda client: client.redrive("atlas", "t-1", epoch=1),
    "discard": lambda client: client.discard("atlas", "t-1", epoch=1),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_commands_are_believed(sent: Sent, command: Callable[[Client], object]) -> None:
    command(sent.client)
    [code] = sent.arrives()
    assert code not in {"unsigned_tenant", "unproven", "replayable", "foreign_tenant", "invalid"}


def test_the_key_of_one_tenant_does_not_speak_for_another(sent: Sent) -> None:
    sent.client.submit({"tenant_id": "borea", "task_type": "echo"})
    assert sent.arrives() == ["foreign_tenant"]


def test_what_the_router_would_refuse_as_replayable_is_not_sent(sent: Sent) -> None:
    for order in (sent.client.redrive, sent.client.discard):
        with pytest.raises(InvalidSubmission) as refused:
            order("atlas", "t-1")
        assert refused.value.field == "$.data.epoch"
    assert sent.bodies() == []


def test_without_a_key_nothing_is_signed(sent: Sent) -> None:
    plain = Client(INSTALLATION, aws_of(sent.aws), now_ms=lambda: 5)
    plain.submit({"tenant_id": "atlas", "task_type": "echo"})
    [body] = sent.bodies()
    assert "proof" not in body["metadata"]
    assert sent.guarded.send(body) == "unsigned_tenant"


def test_the_secret_does_not_travel(sent: Sent) -> None:
    sent.client.submit({"tenant_id": "atlas", "task_type": "echo"})
    [body] = sent.bodies()
    assert body["metadata"]["proof"].keys() == {"key_id", "kid", "mac"}
    assert sent.key.secret.hex() not in msgspec.json.encode(body).decode()
