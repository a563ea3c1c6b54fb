"""Dead-lettered tasks in a dispatcher in memory: an agent that fails while it is told to, and commands as they come."""

from collections.abc import Mapping
from typing import Any

import msgspec

from pushlane.agent import TaskContext, agent
from pushlane.ports import Message
from pushlane.state.dead import Grave, graves
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.deliveries import INTAKE


class Broken:
    """A dispatcher whose one agent fails all tasks while `broken`."""

    def __init__(self) -> None:
        self.broken = True
        self.runs: list[str] = []
        self.dispatcher = InMemoryDispatcher(tenants=("atlas", "birch"))
        self.dispatcher.register(self._agent(), agent_id="one", slots=4)

    def _agent(self) -> Any:
        @agent(task_types=("echo",))
        def echo(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
            self.runs.append(ctx.task_id)
            if self.broken:
                raise ValueError("the provider is down")
            return {"said": payload}

        return echo

    def dead(self, **data: Any) -> str:
        """A task that has died of its only attempt."""
        task_id = self.dispatcher.submit(**{"retry": {"max_attempts": 1}, **data})
        self.dispatcher.run_until_idle()
        assert self.dispatcher.status(task_id) == "DEAD_LETTERED"
        return task_id

    def say(self, name: str, task_id: str, tenant_id: str = "atlas", **data: Any) -> None:
        """One command, as it comes through the queue."""
        envelope = {
            "metadata": {"name": name, "version": 1},
            "data": {"tenant_id": tenant_id, "task_id": task_id, **data},
        }
        kept = {"id": f"command-{name}-{task_id}", "envelope": envelope}
        self.dispatcher.sender.send(INTAKE, [Message(msgspec.json.encode(kept).decode())])
        self.dispatcher.run_until_idle()

    def graves(self, pool: str = "default") -> list[Grave]:
        return graves(self.dispatcher.store, pool, 1_000)
