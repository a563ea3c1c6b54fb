"""What an agent author writes: a plain function `(ctx, payload) -> result` and the types of task it takes."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct

from pushlane.agent.context import TaskContext
from pushlane.model.errors import PushlaneError

PAUSE_SECONDS_MAX: Final = 86_400.0

Work = Callable[[TaskContext, Mapping[str, Any]], Mapping[str, Any]]


class Permanent(PushlaneError):
    """The task can never succeed, however often it is tried (a malformed document, say): it fails at once."""


class Throttled(PushlaneError):
    """A provider refused a call for now (a 429): nobody draws on `resource` for `retry_after_seconds`, and the task is
    tried again then, at no cost to its retries. What the attempt did not report as used counts as not used.

    Raises `ValueError` for a time that is no number of seconds from 0 on; more than a day counts as a day.
    """

    def __init__(self, resource: str, retry_after_seconds: float) -> None:
        if not 0 <= retry_after_seconds < math.inf:
            raise ValueError(f"retry_after_seconds is {retry_after_seconds}: say how long to wait, in seconds")
        super().__init__(f"{resource}: a provider refused the call; try again after {retry_after_seconds:g} s")
        self.resource = resource
        self.retry_after_seconds = min(float(retry_after_seconds), PAUSE_SECONDS_MAX)


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
