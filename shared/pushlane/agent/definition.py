"""What an agent author writes: a plain function `(ctx, payload) -> result` and the types of task it takes."""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from pushlane.agent.context import TaskContext
from pushlane.model.errors import PushlaneError

Work = Callable[[TaskContext, Mapping[str, Any]], Mapping[str, Any]]


class Permanent(PushlaneError):
    """The task can never succeed, however often it is tried (a malformed document, say): it fails at once."""


class AgentDefinition(Struct, frozen=True, kw_only=True):
    """An agent's function and the task types it accepts. Calling it runs the function: for tests and local use."""

    work: Work
    task_types: tuple[str, ...]

    def __call__(self, ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        return self.work(ctx, payload)


def agent(*, task_types: tuple[str, ...]) -> Callable[[Work], AgentDefinition]:
    """Make a function an agent. Its exceptions fail the attempt, which is retried by the task's policy.

    The result is a JSON object; one above 64 KB travels as a claim check.
    """

    def define(work: Work) -> AgentDefinition:
        return AgentDefinition(work=work, task_types=task_types)

    return define
