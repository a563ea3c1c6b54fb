"""Commands to what is already there, through the same doors as submissions: cancel, signal, redrive, discard.

A command that a door has taken is not yet obeyed; one that cannot be is kept in quarantine with the reason, as a
refused submission is. All may be sent again.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from pushlane.aws.backoff import Backoff
from pushlane.client.delivery import deliver
from pushlane.client.doors import DoorSender, Record
from pushlane.client.errors import CommandRefused, InvalidSubmission
from pushlane.client.signing import signed
from pushlane.model.commands import command_of
from pushlane.model.envelope_proof import EnvelopeKey
from pushlane.model.errors import InvalidEvent
from pushlane.model.ids import intake_slot
from pushlane.model.task import EVENT_DOORS, Door


class Commanded(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A command that a door has taken. `subject_id`: the task or workflow. `returned_at_ms`: when the door said yes, on
    the producer's clock.
    """

    command: str
    tenant_id: str
    subject_id: str
    door: Door
    returned_at_ms: int
    signal_id: str | None = None


class Commands:
    """Sends commands. Every method raises `InvalidSubmission` (naming the field) before anything is sent, and
    `CommandRefused` when the door did not take it.
    """

    _doors: Mapping[Door, DoorSender]
    _now_ms: Callable[[], int]
    _new_key: Callable[[], str]
    _backoff: Backoff
    _envelope_key: EnvelopeKey | None

    def cancel(
        self, tenant_id: str, task_id: str, *, reason: str | None = None, door: Door | str = Door.SQS
    ) -> Commanded:
        """End a task as CANCELLED, whatever it is doing; a running attempt has its grace to end by itself."""
        return self._command("CancelTask", door, tenant_id, task_id=task_id, reason=reason)

    def cancel_workflow(
        self, tenant_id: str, workflow_id: str, *, reason: str | None = None, door: Door | str = Door.SQS
    ) -> Commanded:
        """End a workflow: every task of it that has not ended is cancelled."""
        return self._command("CancelWorkflow", door, tenant_id, workflow_id=workflow_id, reason=reason)

    def signal(
        self,
        tenant_id: str,
        task_id: str,
        name: str,
        data: Mapping[str, Any] | None = None,
        *,
        signal_id: str | None = None,
        door: Door | str = Door.SQS,
    ) -> Commanded:
        """Tell a task something while it runs or waits. With the same `signal_id` (a random one when none is given) a
        repeat is the same signal.
        """
        known = signal_id or self._new_key()
        said = {"name": name, "data": dict(data or {}), "signal_id": known}
        sent = self._command("SignalTask", door, tenant_id, task_id=task_id, **said)
        return msgspec.structs.replace(sent, signal_id=known)

    def redrive(
        self, tenant_id: str, task_id: str, *, epoch: int | None = None, door: Door | str = Door.SQS
    ) -> Commanded:
        """Bring a dead-lettered task back, through admission like a retry. `epoch`: only if it died of this attempt."""
        return self._command("RedriveTask", door, tenant_id, task_id=task_id, epoch=epoch)

    def discard(
        self,
        tenant_id: str,
        task_id: str,
        *,
        epoch: int | None = None,
        reason: str | None = None,
        door: Door | str = Door.SQS,
    ) -> Commanded:
        """End a dead-lettered task for good, as FAILED."""
        return self._command("DiscardTask", door, tenant_id, task_id=task_id, epoch=epoch, reason=reason)

    def _command(self, name: str, door: Door | str, tenant_id: str, /, **said: Any) -> Commanded:
        way = door_of(door)
        body = signed(command_body(name, {"tenant_id": tenant_id, **said}), name, self._envelope_key)
        record = Record(index=0, tenant_id=tenant_id, body=body, detail_type=name)
        done = deliver(self._doors[way], [record], now_ms=self._now_ms, backoff=self._backoff)
        for reason in done.refused.values():
            raise CommandRefused(name, way.value, reason)
        subject_id = str(said.get("task_id") or said.get("workflow_id"))
        at_ms = done.returned_at_ms[0]
        return Commanded(command=name, tenant_id=tenant_id, subject_id=subject_id, door=way, returned_at_ms=at_ms)


def command_body(name: str, data: Mapping[str, Any]) -> str:
    """The envelope of a command as JSON, checked as the router checks it; what is None is left out.

    Raises `InvalidSubmission` naming the field.
    """
    tenant_id = data["tenant_id"]
    slot = {"intake": intake_slot(tenant_id)} if isinstance(tenant_id, str) else {}
    said = {field: value for field, value in data.items() if value is not None}
    try:
        encoded = msgspec.json.encode({"metadata": {"name": name, "version": 1, **slot}, "data": said})
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidSubmission("$.data", f"not JSON: {error}") from error
    try:
        command_of(name, encoded)
    except InvalidEvent as error:
        raise InvalidSubmission(error.field, error.reason) from error
    return encoded.decode()


def door_of(name: Door | str) -> Door:
    """The door of this name; raises `InvalidSubmission` that lists them."""
    if name not in EVENT_DOORS:
        raise InvalidSubmission("door", f"{name!r} is not one of {', '.join(EVENT_DOORS)}")
    return Door(name)
