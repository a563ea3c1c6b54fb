"""One task that was just pushed to an agent of the test's own."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from pushlane.agent import TaskContext, agent
from pushlane.agent.ports import AgentPorts
from pushlane.agent.runtime import AgentRuntime
from pushlane.model.attempt import Outcome
from pushlane.model.events import Dispatch
from pushlane.ports import Message
from pushlane.testing import InMemoryDispatcher

AGENT_QUEUE = "queue/agent/one"
RESULTS = "queue/results"
REMAINING_MS = 60_000

Function = Callable[[TaskContext, Mapping[str, Any]], Any]


class World:
    """A dispatcher with one task that was just pushed to the agent `work`."""

    def __init__(self, work: Function, **submitted: Any) -> None:
        self.dispatcher = InMemoryDispatcher()
        self.definition = agent(task_types=("echo",))(work)
        self.dispatcher.register(self.definition, agent_id="one")
        self.task_id = self.dispatcher.submit(**submitted)
        self.dispatcher._deliver_intake()
        [self.message] = self.dispatcher.sender.drain(AGENT_QUEUE)
        self.dispatch = msgspec.json.decode(self.message.body, type=Dispatch)

    def ports(self) -> AgentPorts:
        return self.dispatcher.agent_ports()

    def run(self) -> bool:
        return AgentRuntime(self.definition, self.ports()).run(self.message.body, REMAINING_MS)

    def redispatch(self, **changed: Any) -> None:
        """The push says something else."""
        self.dispatch = msgspec.structs.replace(self.dispatch, **changed)
        self.message = Message(msgspec.json.encode(self.dispatch).decode())

    @property
    def stored(self) -> dict[str, Any]:
        [item] = self.dispatcher.live_attempts()
        return dict(item.attributes)

    @property
    def outcome(self) -> Outcome:
        return msgspec.json.decode(self.stored["outcome"], type=Outcome)

    @property
    def events(self) -> list[str]:
        return [event for event, _ in self.dispatcher.logged]

    def complete(self) -> Any:
        """Deliver the nudge; the task's result."""
        self.dispatcher.run_until_idle()
        return self.dispatcher.result(self.task_id)


def says(value: Any) -> Function:
    return lambda _ctx, _payload: value


def raises(error: BaseException) -> Function:
    def work(_ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        raise error

    return work
