"""Commands to tasks, workflows and agents that are already there: envelopes through every door, beside `SubmitTask`.

On the ingress bus the detail type says which command it is, at the other doors `metadata.name` does. Every command may
be delivered twice: done again it changes nothing.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from pushlane.model.decoding import misfit
from pushlane.model.envelope_proof import Proof
from pushlane.model.errors import InvalidEvent
from pushlane.model.ids import INTAKE_SLOTS, IdempotencyKey, Identifier
from pushlane.model.nesting import NESTING_MAX, nests_too_deep
from pushlane.model.signals import SIGNAL_DATA_BYTES_MAX
from pushlane.model.times import TimeMs

REASON_CHARACTERS_MAX: Final = 256

Reason = Annotated[str, Meta(max_length=REASON_CHARACTERS_MAX)]
DiedEpoch = Annotated[int, Meta(ge=0, description="Only the death of this attempt is meant; a later one is left alone")]


class CommandMetadata(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the metadata of all commands have. `intake` is the tenant's intake slot, as in a submission; `proof`
    binds the tenant, or the agent, to a credential.
    """

    version: Literal[1]
    correlation_id: Annotated[str, Meta(max_length=128)] | None = None
    traceparent: Annotated[str, Meta(max_length=64)] | None = None
    intake: Annotated[int, Meta(ge=0, lt=INTAKE_SLOTS)] | None = None
    proof: Proof | None = None


class CancelTaskMetadata(CommandMetadata, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Says what the envelope holds."""

    name: Literal["CancelTask"]


class CancelTaskData(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The task to end as CANCELLED. A running attempt is told at its next check-in and has its grace to end itself."""

    tenant_id: Identifier
    task_id: Identifier
    reason: Reason | None = None


class CancelTask(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """End this task, whatever it is doing; one that has ended stays as it is."""

    metadata: CancelTaskMetadata
    data: CancelTaskData


class SignalTaskMetadata(CommandMetadata, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Says what the envelope holds."""

    name: Literal["SignalTask"]


class SignalTaskData(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Something a task is told while it runs or waits: human input, an interrupt, new instructions.

    `data`: at most 16 KiB of JSON. `signal_id`: a repeat with the same one is the same signal; without it the door's
    own identity of the message counts.
    """

    tenant_id: Identifier
    task_id: Identifier
    name: Identifier
    data: dict[str, Any] = msgspec.field(default_factory=dict)
    signal_id: IdempotencyKey | None = None


class SignalTask(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tell this task something; one that waits for a signal of this name goes on."""

    metadata: SignalTaskMetadata
    data: SignalTaskData


class RedriveTaskMetadata(CommandMetadata, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Says what the envelope holds."""

    name: Literal["RedriveTask"]


class RedriveTaskData(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The dead-lettered task to try again, with its retries from the beginning. `epoch`: of its last attempt."""

    tenant_id: Identifier
    task_id: Identifier
    epoch: DiedEpoch | None = None


class RedriveTask(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Put this dead-lettered task back, through admission like a retry; it stays the same task."""

    metadata: RedriveTaskMetadata
    data: RedriveTaskData


class DiscardTaskMetadata(CommandMetadata, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Says what the envelope holds."""

    name: Literal["DiscardTask"]


class DiscardTaskData(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The dead-lettered task to give up: it ends as FAILED. `epoch`: of its last attempt."""

    tenant_id: Identifier
    task_id: Identifier
    epoch: DiedEpoch | None = None
    reason: Reason | None = None


class DiscardTask(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """End this dead-lettered task for good."""

    metadata: DiscardTaskMetadata
    data: DiscardTaskData


class CancelWorkflowMetadata(
    CommandMetadata, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Says what the envelope holds."""

    name: Literal["CancelWorkflow"]


class CancelWorkflowData(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The workflow to end: every one of its tasks that has not ended is cancelled."""

    tenant_id: Identifier
    workflow_id: Identifier
    reason: Reason | None = None


class CancelWorkflow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """End this workflow and all of its tasks."""

    metadata: CancelWorkflowMetadata
    data: CancelWorkflowData


class AgentHeartbeatMetadata(
    CommandMetadata, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Says what the envelope holds."""

    name: Literal["AgentHeartbeat"]


class AgentHeartbeatData(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The long-lived agent that is there. `sent_at_ms`: when it said so; a signed one is believed for a minute."""

    pool: Identifier
    agent_id: Identifier
    sent_at_ms: TimeMs | None = None


class AgentHeartbeat(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A long-lived agent is alive and takes work; without this for a while it is marked unavailable."""

    metadata: AgentHeartbeatMetadata
    data: AgentHeartbeatData


Command = CancelTask | SignalTask | RedriveTask | DiscardTask | CancelWorkflow | AgentHeartbeat

COMMANDS: Final[Mapping[str, type[Command]]] = {
    kind.__name__: kind for kind in (CancelTask, SignalTask, RedriveTask, DiscardTask, CancelWorkflow, AgentHeartbeat)
}
_decoders: Final[Mapping[str, msgspec.json.Decoder[Command]]] = {
    name: msgspec.json.Decoder(kind) for name, kind in COMMANDS.items()
}


class _Named(Struct, frozen=True):
    name: str = ""


class _Envelope(Struct, frozen=True):
    metadata: _Named = _Named()


_name_decoder: Final = msgspec.json.Decoder(_Envelope)


def said_name(body: bytes) -> str:
    """The `metadata.name` of an envelope; empty when it says none that can be read."""
    try:
        return _name_decoder.decode(body).metadata.name
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def command_of(name: str, body: bytes) -> Command:
    """The command `name` (one of `COMMANDS`) in an envelope; raises `InvalidEvent` naming the field."""
    if name not in _decoders:
        raise InvalidEvent(
            "$.metadata.name", f"{name[:80]!r} is no command: one of {', '.join(COMMANDS)}", "unknown_name"
        )
    try:
        command = _decoders[name].decode(body)
    except msgspec.ValidationError as error:
        found = misfit(error, None, COMMANDS[name])
        raise InvalidEvent(found.field, found.reason) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidEvent("$", f"not a JSON envelope: {error}", "not_json") from error
    if isinstance(command, SignalTask):
        check_signal_data(command.data.data)
    return command


def check_signal_data(data: Mapping[str, Any]) -> None:
    """Raises `InvalidEvent` when a signal's data is larger or nests deeper than its task can be told."""
    if nests_too_deep(data):
        raise InvalidEvent("$.data.data", f"nests deeper than {NESTING_MAX} levels", "too_deep")
    size = len(msgspec.json.encode(data))
    if size > SIGNAL_DATA_BYTES_MAX:
        reason = (
            f"{size} bytes of JSON, a signal holds {SIGNAL_DATA_BYTES_MAX}: store the data elsewhere and send its name"
        )
        raise InvalidEvent("$.data.data", reason, "oversize")
