"""Commands: what is in their envelopes, and which field is named when something in one is wrong."""

import json
from typing import Any

import pytest

from pushlane.model.commands import COMMANDS, CancelTask, RedriveTask, SignalTask, command_of, said_name
from pushlane.model.errors import InvalidEvent
from pushlane.model.nesting import NESTING_MAX
from pushlane.model.signals import SIGNAL_DATA_BYTES_MAX

TASK = {"tenant_id": "atlas", "task_id": "t-1"}
DATA: dict[str, dict[str, Any]] = {
    "CancelTask": {**TASK, "reason": "the customer is gone"},
    "SignalTask": {**TASK, "name": "approval", "data": {"approved": True}, "signal_id": "s/1"},
    "RedriveTask": {**TASK, "epoch": 3},
    "DiscardTask": {**TASK, "epoch": 3, "reason": "old"},
    "CancelWorkflow": {"tenant_id": "atlas", "workflow_id": "w-1"},
    "AgentHeartbeat": {"pool": "default", "agent_id": "one"},
}


def envelope(name: str, data: Any, **metadata: Any) -> bytes:
    return json.dumps({"metadata": {"name": name, "version": 1, **metadata}, "data": data}).encode()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_read_by_its_name(name: str) -> None:
    body = envelope(name, DATA[name], intake=3, correlation_id="c")
    command = command_of(name, body)
    assert type(command) is COMMANDS[name]
    assert said_name(body) == name


def test_what_is_left_out_has_a_default() -> None:
    cancel = command_of("CancelTask", envelope("CancelTask", TASK))
    signal = command_of("SignalTask", envelope("SignalTask", {**TASK, "name": "go"}))
    redrive = command_of("RedriveTask", envelope("RedriveTask", TASK))
    assert isinstance(cancel, CancelTask)
    assert isinstance(signal, SignalTask)
    assert isinstance(redrive, RedriveTask)
    assert cancel.data.reason is None
    assert (signal.data.data, signal.data.signal_id) == ({}, None)
    assert redrive.data.epoch is None


def deep(levels: int) -> Any:
    value: Any = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("name", "data", "field"),
    [
        ("CancelTask", {"tenant_id": "atlas"}, "$.data"),
        ("CancelTask", {**TASK, "tenant_id": "a b"}, "$.data.tenant_id"),
        ("CancelTask", {**TASK, "task_id": "t#1"}, "$.data.task_id"),
        ("CancelTask", {**TASK, "reason": "x" * 257}, "$.data.reason"),
        ("CancelTask", {**TASK, "when": "now"}, "$.data.when"),
        ("SignalTask", TASK, "$.data"),
        ("SignalTask", {**TASK, "name": "child:t-2"}, "$.data.name"),
        ("SignalTask", {**TASK, "name": "go", "data": []}, "$.data.data"),
        ("SignalTask", {**TASK, "name": "go", "data": {"text": "x" * SIGNAL_DATA_BYTES_MAX}}, "$.data.data"),
        ("SignalTask", {**TASK, "name": "go", "data": deep(NESTING_MAX + 1)}, "$.data.data"),
        ("SignalTask", {**TASK, "name": "go", "signal_id": ""}, "$.data.signal_id"),
        ("RedriveTask", {**TASK, "epoch": -1}, "$.data.epoch"),
        ("AgentHeartbeat", {"pool": "default"}, "$.data"),
        ("DiscardTask", None, "$.data"),
    ],
)
def test_what_is_wrong_is_named(name: str, data: Any, field: str) -> None:
    with pytest.raises(InvalidEvent) as raised:
        command_of(name, envelope(name, data))
    assert raised.value.field == field


def test_a_signal_may_be_as_large_as_it_says() -> None:
    text = "x" * (SIGNAL_DATA_BYTES_MAX - len('{"text":""}'))
    command_of("SignalTask", envelope("SignalTask", {**TASK, "name": "go", "data": {"text": text}}))


def test_the_name_inside_has_to_be_the_one_outside() -> None:
    with pytest.raises(InvalidEvent, match=r"\$\.metadata\.name"):
        command_of("CancelTask", envelope("RedriveTask", TASK))


def test_an_unknown_name_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(InvalidEvent, match="CancelTask, SignalTask"):
        command_of("StopTask", envelope("StopTask", TASK))


@pytest.mark.parametrize("body", [b"", b"{", b"\xff"])
def test_what_is_no_json_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(InvalidEvent, match="not a JSON envelope"):
        command_of("CancelTask", body)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"metadata": 3}', b'{"metadata": {"name": 3}}', b"\xff"])
def test_an_envelope_without_a_name_has_none(body: bytes) -> None:
    assert said_name(body) == ""
