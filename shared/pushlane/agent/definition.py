"""What an agent author writes: a function `(ctx, payload) -> result` and the types of task it takes."""

from collections.abc import Callable, Generator
from types import GeneratorType
from typing import Any

from msgspec import Struct

from pushlane.agent.context import TaskContext
from pushlane.agent.payloads import plain_result, typed_payload

Work = Callable[[TaskContext, Any], Any]


class AgentDefinition(Struct, frozen=True, kw_only=True):
    """An agent's function and the task types it accepts. Calling it runs the function: for tests and local use."""

    work: Work
    task_types: tuple[str, ...]
    stall_seconds: float | None = None
    payload: Any = None
    result: Any = None

    def __call__(self, ctx: TaskContext, payload: Any) -> Any:
        """What the function returns for this payload, its types checked; a generator is run to its end."""
        made = self.work(ctx, typed_payload(payload, self.payload))
        said = _driven(ctx, made) if isinstance(made, GeneratorType) else made
        return plain_result(said, self.result)


def agent(
    *,
    task_types: tuple[str, ...],
    stall_seconds: float | None = None,
    payload: type | None = None,
    result: type | None = None,
) -> Callable[[Work], AgentDefinition]:
    """Make a function an agent. Its exceptions fail the attempt, which is retried by the task's policy.

    A generator function may `yield state` (an object) at any time: that is a checkpoint. When the task has to go on in
    another invocation, the function is called again from its start, with the last state in `ctx.restored`.

    `payload` and `result` are types (a `msgspec.Struct`, a dataclass, ...) that are decoded and checked: what does not
    fit fails the task for good, with the field's name. The result is a JSON object; one above 64 KB travels as a claim
    check. `stall_seconds`: an attempt that shows no sign of its work (check-in, checkpoint, emit, progress) for so long
    is ended as stalled; the policy's figure for the task type goes first.
    """

    def define(work: Work) -> AgentDefinition:
        return AgentDefinition(
            work=work, task_types=task_types, stall_seconds=stall_seconds, payload=payload, result=result
        )

    return define


def _driven(ctx: TaskContext, steps: Generator[Any, Any, Any]) -> Any:
    """Checkpoint each state; whatever ends the attempt there closes the generator, so that its `finally` blocks run."""
    try:
        state = next(steps)
        while True:
            state = steps.send(ctx.checkpoint(state))
    except StopIteration as end:
        return end.value
    finally:
        steps.close()
