"""Commands of producers and operators to what is already there. Done twice, one changes nothing the second time."""

from pushlane.model.commands import (
    AgentHeartbeat,
    CancelTask,
    CancelWorkflow,
    DiscardTask,
    RedriveTask,
    SignalTask,
    command_of,
)
from pushlane.model.errors import InvalidEvent
from pushlane.router.agent_health import heard
from pushlane.router.cancel import cancel
from pushlane.router.intake import Record
from pushlane.router.ports import RouterPorts
from pushlane.router.redrive import discard, redrive
from pushlane.router.signals import deliver
from pushlane.router.vouching import Vouching
from pushlane.router.workflow_end import cancel_workflow


class Commands:
    """Obeys one command at a time."""

    def __init__(self, ports: RouterPorts) -> None:
        self._ports = ports
        self._vouching = Vouching(ports)

    def obey(self, record: Record) -> None:
        """Do what the record asks. Raises `InvalidEvent` for what cannot be done as it stands, and what the store
        raises: then the command is delivered again.
        """
        command = command_of(record.name, record.body)
        ports, source = self._ports, record.source
        tenant_id = getattr(command.data, "tenant_id", None)
        self._vouching.check(record, command)
        match command:
            case CancelTask(data=data):
                done = cancel(ports.turn, ports.pusher, data.tenant_id, data.task_id, data.reason or "on request")
            case SignalTask(data=data):
                signal_id = data.signal_id or f"{source.door}/{source.source_id}"
                done = deliver(ports.turn, ports.pusher, data, signal_id)
            case RedriveTask(data=data):
                done = redrive(ports.turn, ports.pusher, data.tenant_id, data.task_id, data.epoch)
            case DiscardTask(data=data):
                reason = data.reason or "discarded on request"
                done = discard(ports.turn, ports.pusher, data.tenant_id, data.task_id, reason, data.epoch)
            case CancelWorkflow(data=data):
                reason = data.reason or "on request"
                done = cancel_workflow(ports.turn, ports.pusher, data.tenant_id, data.workflow_id, reason)
            case AgentHeartbeat(data=data):
                done = heard(ports.turn, ports.pusher, data.pool, data.agent_id)
            case _:
                raise InvalidEvent("$.metadata.name", f"{record.name} is not supported", "unknown_name")
        ports.log("command", command=record.name, tenant_id=tenant_id, done=done)
