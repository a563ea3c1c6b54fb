"""Commands of the client through every door, obeyed by the real router in memory."""

import json
from typing import Any

import pytest

from pushlane.client import Client, CommandRefused, InvalidSubmission
from pushlane.model.commands import RedriveTask, command_of
from pushlane.model.ids import intake_slot
from pushlane.model.task import EVENT_DOORS, Door
from tests.unit.client.doubles import INSTALLATION, RecordingClient, accepting, aws_of

BODIES = {
    "send_message_batch": "MessageBody",
    "publish_batch": "Message",
    "put_events": "Detail",
    "put_records": "Data",
}


class Sent:
    """A client, and what it sent."""

    def __init__(self) -> None:
        self.aws = RecordingClient(accepting)
        self.client = Client(INSTALLATION, aws_of(self.aws), now_ms=lambda: 5, new_key=lambda: "fresh")

    @property
    def entry(self) -> tuple[str, dict[str, Any]]:
        ((name, arguments),) = self.aws.calls
        (entry,) = arguments.get("Entries") or arguments.get("PublishBatchRequestEntries") or arguments["Records"]
        return name, entry

    @property
    def envelope(self) -> dict[str, Any]:
        name, entry = self.entry
        said: dict[str, Any] = json.loads(entry[BODIES[name]])
        return said


@pytest.mark.parametrize("door", EVENT_DOORS)
def test_a_command_goes_through_every_door(door: Door) -> None:
    sent = Sent()
    done = sent.client.redrive("atlas", "t-1", epoch=2, door=door)
    assert (done.command, done.subject_id, done.door, done.returned_at_ms) == ("RedriveTask", "t-1", door, 5)
    name, entry = sent.entry
    assert isinstance(command_of("RedriveTask", json.dumps(sent.envelope).encode()), RedriveTask)
    assert sent.envelope["metadata"] == {"name": "RedriveTask", "version": 1, "intake": intake_slot("atlas")}
    if name == "put_events":
        assert entry["DetailType"] == "RedriveTask"


def test_each_command_says_what_it_was_asked_for() -> None:
    def said(send: Any) -> dict[str, Any]:
        sent = Sent()
        send(sent.client)
        data: dict[str, Any] = sent.envelope["data"]
        return data

    task = {"tenant_id": "atlas", "task_id": "t-1"}
    assert said(lambda c: c.cancel("atlas", "t-1", reason="old")) == {**task, "reason": "old"}
    assert said(lambda c: c.cancel("atlas", "t-1")) == task
    assert said(lambda c: c.discard("atlas", "t-1", epoch=1, reason="old")) == {**task, "epoch": 1, "reason": "old"}
    assert said(lambda c: c.cancel_workflow("atlas", "w-1")) == {"tenant_id": "atlas", "workflow_id": "w-1"}
    answer = {**task, "name": "go", "data": {"n": 1}, "signal_id": "fresh"}
    assert said(lambda c: c.signal("atlas", "t-1", "go", {"n": 1})) == answer


def test_a_signal_keeps_the_id_that_it_was_given() -> None:
    assert Sent().client.signal("atlas", "t-1", "go", signal_id="mine").signal_id == "mine"


@pytest.mark.parametrize(
    ("send", "field"),
    [
        (lambda client: client.cancel("a b", "t-1"), "$.data.tenant_id"),
        (lambda client: client.cancel("atlas", "t 1"), "$.data.task_id"),
        (lambda client: client.cancel("atlas", "t-1", reason="x" * 1_000), "$.data.reason"),
        (lambda client: client.signal("atlas", "t-1", "go", {"n": {1, object()}}), "$.data"),
        (lambda client: client.signal("atlas", "t-1", "go", {"text": "x" * 20_000}), "$.data.data"),
        (lambda client: client.cancel("atlas", "t-1", door="window"), "door"),
        (lambda client: client.cancel(7, "t-1"), "$.data.tenant_id"),
    ],
)
def test_what_is_wrong_is_named_before_anything_is_sent(send: Any, field: str) -> None:
    sent = Sent()
    with pytest.raises(InvalidSubmission) as raised:
        send(sent.client)
    assert raised.value.field == field
    assert sent.aws.calls == []


def test_a_door_that_does_not_take_it_says_so() -> None:
    answer = {"Failed": [{"Id": "0", "Code": "InvalidMessageContents", "SenderFault": True}]}
    client = Client(INSTALLATION, aws_of(RecordingClient(lambda _name, _arguments: answer)))
    with pytest.raises(CommandRefused, match="CancelTask, door sqs: InvalidMessageContents"):
        client.cancel("atlas", "t-1")
