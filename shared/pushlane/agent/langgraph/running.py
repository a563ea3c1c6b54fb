"""Runs a graph as the work of one attempt, from wherever the attempts before it came to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final, cast

from langgraph.channels import DeltaChannel
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command

from pushlane.agent.errors import Permanent
from pushlane.agent.langgraph.memory import GraphMemory
from pushlane.agent.langgraph.saver import TaskSaver

if TYPE_CHECKING:
    from collections.abc import Generator

    from langchain_core.runnables import RunnableConfig
    from langgraph.types import Interrupt

    from pushlane.agent.context import TaskContext

Graph = CompiledStateGraph[Any, Any, Any, Any]

NODE: Final = "node"
INTERRUPT: Final = "interrupt"
_STEPS_MAX: Final = 1_000


def run_graph(
    ctx: TaskContext,
    graph: Graph,
    payload: Mapping[str, Any],
    *,
    context: Any = None,
    signal: str = "resume",
    timeout_seconds: float | None = None,
    steps_max: int = _STEPS_MAX,
) -> dict[str, Any]:
    """Run a compiled graph (its own checkpointer, if any, is not used) on `payload`; returns its state at the end.

    Every node's end is a checkpoint of the task: an attempt that is preempted, cancelled or near its invocation's end
    ends there, and the next one goes on with the next node. A node that had not ended runs again, so give what it does
    elsewhere a key of `ctx.step`. Events tell which `node` has ended. `context` is the graph's runtime context.

    `interrupt(value)` in a node ends the invocation until a signal comes; its data is what `interrupt` returns then.
    The signal's name is `value["signal"]` if there is one, otherwise `signal`; the event `interrupt` tells name and
    value, once. `timeout_seconds` is for each of these waits. The task's checkpoint is the graph's alone.

    Raises what the nodes raise, `SignalTimeout`, and `Permanent` for a graph that needs its whole history.
    """
    memory = GraphMemory(ctx.restored)
    running = graph.copy({"checkpointer": TaskSaver(memory)})
    if any(isinstance(channel, DeltaChannel) for channel in running.channels.values()):
        raise Permanent("a DeltaChannel needs all of a thread's checkpoints, a task keeps the last: use another")
    config: RunnableConfig = {"configurable": {"thread_id": ctx.task_id}, "recursion_limit": steps_max}
    given: Any = dict(payload)
    while True:
        if memory.begun:
            found = running.get_state(config)
            if not found.next:
                return dict(found.values)
            given = _answered(ctx, memory, found.interrupts, signal, timeout_seconds) if found.interrupts else None
        steps = running.stream(given, config, context=context, stream_mode="tasks", durability="sync")
        # Closed at once when the attempt ends here, so that the graph's threads end with it.
        with closing(cast("Generator[Any, None, None]", steps)):
            for said in steps:
                _told(ctx, said)
                _stored(ctx, memory)


def _stored(ctx: TaskContext, memory: GraphMemory) -> None:
    """A checkpoint if there is anything new: here the attempt ends when it was told to."""
    if memory.changed:
        ctx.checkpoint(memory.state())


def _told(ctx: TaskContext, said: Any) -> None:
    """One of two things: a node begins (it has an `input`), or has ended."""
    if isinstance(said, Mapping) and "result" in said and not (said["error"] or said["interrupts"]):
        ctx.emit(NODE, {"name": said["name"]})


def _answered(
    ctx: TaskContext, memory: GraphMemory, pending: Iterable[Interrupt], signal: str, timeout_seconds: float | None
) -> Command[Any]:
    """The answers to all questions; an attempt that died after it got them has left them in the checkpoint."""
    missing = [one for one in pending if one.id not in memory.answers]
    for one in missing:
        if memory.ask(one.id):
            ctx.emit(INTERRUPT, {"signal": _signal_of(one, signal), "value": one.value})
    _stored(ctx, memory)
    known = {one.id: memory.answers[one.id] for one in pending if one.id in memory.answers}
    new = {one.id: ctx.wait_for_signal(_signal_of(one, signal), timeout_seconds).data for one in missing}
    memory.answer({**known, **new})
    return Command(resume={**known, **new})


def _signal_of(interrupt: Interrupt, default: str) -> str:
    named = interrupt.value.get("signal") if isinstance(interrupt.value, Mapping) else None
    return named if isinstance(named, str) else default
