"""A dispatcher with agents that run workflows, and what a test asks of them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from pushlane.agent import Permanent, TaskContext, agent
from pushlane.inmemory.store import Faults
from pushlane.model.events import FactName
from pushlane.model.ids import unkeyed_task_id
from pushlane.model.task import Door
from pushlane.model.workflow import WorkflowStatus, keyed_workflow_id, node_task_id
from pushlane.ports import Message, Table
from pushlane.state.workflows import WorkflowRow, ends_keys, load_marks, load_row
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.deliveries import INTAKE
from tests.unit.model.workflows import workflow_envelope


@agent(task_types=("echo",))
def echo(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    if payload.get("fail"):
        raise Permanent("as asked")
    return {"said": payload, "node": getattr(ctx, "node", None)}


class WorkflowWorld:
    """One dispatcher, one pool, `slots` of an agent that echoes (or fails where the payload says so)."""

    def __init__(self, *, slots: int = 5, faults: Faults | None = None, agent_by_hand: bool = False) -> None:
        self.dispatcher = InMemoryDispatcher(faults=faults)
        definition = None if agent_by_hand else echo
        self.dispatcher.register(definition, agent_id="one", slots=slots, capabilities=("echo",))

    def submit(self, *nodes: dict[str, Any], key: str = "k", **data: Any) -> str:
        """Send a workflow to the intake queue; returns its id."""
        self.send(workflow_envelope(*nodes, idempotency_key=key, **data))
        return keyed_workflow_id("atlas", key)

    def send(self, envelope: Mapping[str, Any], message_id: str = "message-w") -> None:
        kept = {"id": message_id, "envelope": envelope}
        self.dispatcher.sender.send(INTAKE, [Message(msgspec.json.encode(kept).decode())])

    def command(self, name: str, **data: Any) -> None:
        said = {"metadata": {"name": name, "version": 1}, "data": {"tenant_id": "atlas", **data}}
        self.send(said, message_id=f"command-{name}")

    def run(self, *nodes: dict[str, Any], **data: Any) -> str:
        """Submit a workflow and let it run to its end."""
        workflow_id = self.submit(*nodes, **data)
        self.dispatcher.run_until_idle()
        return workflow_id

    def row(self, workflow_id: str) -> WorkflowRow:
        row = load_row(self.dispatcher.store, workflow_id)
        assert row is not None
        return row

    def status(self, workflow_id: str) -> WorkflowStatus:
        return self.row(workflow_id).status

    def node_statuses(self, workflow_id: str, *names: str) -> list[str | None]:
        return self.dispatcher.statuses(*(node_task_id(workflow_id, name) for name in names))

    def marks(self, workflow_id: str) -> dict[int, str]:
        """By place, how nodes ended as the workflow has it."""
        where = ends_keys(workflow_id, self.row(workflow_id).accepted.nodes)
        return {place: mark.end.value for place, mark in load_marks(self.dispatcher.store, where).items()}

    def dispatched(self) -> list[str]:
        """Task ids in the order of their first dispatch."""
        facts = self.dispatcher.facts_of(FactName.TASK_DISPATCHED)
        return list(dict.fromkeys(str(fact.data.task_id) for fact in facts))

    def duties(self) -> list[str]:
        """Duties that lie among the delayed."""
        found = [item.key for item in self.dispatcher.store.items(Table.SCHEDULER)]
        return [key.sk for key in found if key.pk.startswith("DELAYED#") and key.sk.count("#") > 1]


def task_id_of(message_id: str) -> str:
    return unkeyed_task_id("atlas", Door.SQS, message_id)
