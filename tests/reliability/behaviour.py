"""What simulated agents do with an attempt."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final, Protocol

from pushlane.agent import AgentDefinition, Permanent, TaskContext, Throttled, agent
from pushlane.agent.errors import ChildFailed, SignalTimeout
from tests.reliability.chance import Chance
from tests.reliability.faults import Fault, Injector
from tests.reliability.strands import Crashed
from tests.reliability.tasks import TYPES

LARGE: Final = "x" * (70 * 1024)


class Behaviour(StrEnum):
    """The course of one attempt."""

    QUICK = "quick"
    SLOW = "slow"  # seconds of work, with check-ins
    FAILS = "fails"
    FAILS_FOR_GOOD = "fails-for-good"
    THROTTLED = "throttled"
    LARGE = "large"
    MIDDLING = "middling"  # a result that fits into an item, and with another one into no message
    SILENT = "silent"  # its process dies in the middle
    FROZEN = "frozen"  # it stands still beyond its lease, and then goes on
    STEPS = "steps"  # checkpoint by checkpoint; the next attempt goes on from the last
    SLEEPS = "sleeps"  # without an invocation
    ASKS = "asks"  # waits for a signal, without an invocation
    GIVES_BACK = "gives-back"  # gives slot and resources back while it waits
    PARENT = "parent"  # submits children and waits for their results


STORMY: Final = (
    (Behaviour.QUICK, 40.0),
    (Behaviour.SLOW, 16.0),
    (Behaviour.STEPS, 12.0),
    (Behaviour.SLEEPS, 4.0),
    (Behaviour.ASKS, 4.0),
    (Behaviour.GIVES_BACK, 6.0),
    (Behaviour.PARENT, 3.0),
    (Behaviour.FAILS, 10.0),
    (Behaviour.FAILS_FOR_GOOD, 2.0),
    (Behaviour.THROTTLED, 4.0),
    (Behaviour.LARGE, 1.0),
    (Behaviour.MIDDLING, 2.0),
    (Behaviour.SILENT, 6.0),
    (Behaviour.FROZEN, 5.0),
)
CALM: Final = ((Behaviour.QUICK, 80.0), (Behaviour.SLOW, 12.0), (Behaviour.STEPS, 8.0))
# Nothing goes wrong but what agents do: the second act, in which no sweep helps.
SECOND_ACT: Final = (
    (Behaviour.QUICK, 40.0),
    (Behaviour.SLOW, 15.0),
    (Behaviour.STEPS, 10.0),
    (Behaviour.SLEEPS, 5.0),
    (Behaviour.ASKS, 5.0),
    (Behaviour.GIVES_BACK, 5.0),
    (Behaviour.FAILS, 10.0),
    (Behaviour.SILENT, 10.0),
)
# Those that take time, so that others run meanwhile.
LASTING: Final = frozenset(Behaviour) - {
    Behaviour.QUICK,
    Behaviour.FAILS,
    Behaviour.FAILS_FOR_GOOD,
    Behaviour.THROTTLED,
    Behaviour.LARGE,
    Behaviour.MIDDLING,
}
# Those that end an invocation in order to go on later, in the same way.
GOES_ON: Final = frozenset({Behaviour.STEPS, Behaviour.SLEEPS, Behaviour.ASKS, Behaviour.PARENT})
_FAULTS: Final = {Behaviour.SILENT: Fault.AGENT_SILENT, Behaviour.FROZEN: Fault.AGENT_FROZEN}


class Stage(Protocol):
    """What a behaviour needs of the world."""

    chance: Chance
    injector: Injector

    def call_id(self) -> str:
        """The call id of the invocation that runs now."""
        ...

    def behaviour(self) -> Behaviour:
        """What the invocation that runs now is to do."""
        ...

    def sleep(self, ms: int) -> None:
        """Let virtual time pass for the invocation that runs now."""
        ...

    def freeze(self, ms: int) -> None:
        """The same, while its process stands still, and perhaps its heartbeat with it."""
        ...

    def restored(self, task_id: str, epoch: int, steps: int) -> None:
        """The attempt goes on after so many steps: no more and no fewer may have been stored."""
        ...


def definition(stage: Stage) -> AgentDefinition:
    """One agent's function for all task types."""

    @agent(task_types=TYPES)
    def work(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        course = stage.behaviour()
        if course is Behaviour.PARENT and "n" not in payload:
            course = Behaviour.QUICK  # a child has no children, nor has a node of a workflow
        if course is Behaviour.QUICK and "n" not in payload and stage.chance.hit(0.15):
            course = Behaviour.MIDDLING  # somebody is told of it
        if course in _FAULTS:
            stage.injector.count(_FAULTS[course])
        return _COURSES[course](stage, ctx)

    return work


def _signed(stage: Stage, ctx: TaskContext) -> dict[str, Any]:
    """A result that says whose it is, so that nobody else's can be taken for it."""
    return {"by": stage.call_id(), "epoch": ctx.attempt}


def _said(stage: Stage, ctx: TaskContext) -> str:
    return f"as ordered by {stage.call_id()}/{ctx.attempt}"


def _quick(stage: Stage, ctx: TaskContext) -> dict[str, Any]:
    if stage.chance.hit(0.3):
        ctx.used(tokens=stage.chance.pick((0, 5, 90, 400)))
    return _signed(stage, ctx)


def _slow(stage: Stage, ctx: TaskContext) -> dict[str, Any]:
    for number in range(stage.chance.between(1, 3)):
        stage.sleep(stage.chance.pick((50, 400, 2_000, 6_000)))
        ctx.check_in(progress={"part": number})
    return _quick(stage, ctx)


def _fails(stage: Stage, ctx: TaskContext) -> dict[str, Any]:
    raise RuntimeError(_said(stage, ctx))


def _fails_for_good(stage: Stage, ctx: TaskContext) -> dict[str, Any]:
    raise Permanent(_said(stage, ctx))


def _throttled(stage: Stage, _ctx: TaskContext) -> dict[str, Any]:
    raise Throttled(stage.chance.pick(("tpm", "rpm")), stage.chance.pick((1, 5, 12)))


def _large(stage: Stage, ctx: TaskContext) -> dict[str, Any]:
    return {**_signed(stage, ctx), "text": LARGE}


def _middling(stage: Stage, ctx: TaskContext) -> dict[str, Any]:
    return {**_signed(stage, ctx), "text": LARGE[: 40 * 1024]}


def _silent(stage: Stage, ctx: TaskContext) -> dict[str, Any]:
    if stage.chance.hit(0.5):
        ctx.check_in(progress={"part": "half"})
    raise Crashed


def _frozen(stage: Stage, ctx: TaskContext) -> dict[str, Any]:
    stage.freeze(stage.chance.pick((8_000, 30_000, 90_000, 200_000)))
    if stage.chance.hit(0.5):
        ctx.check_in(progress={"part": "late"})
        stage.sleep(stage.chance.pick((0, 500, 4_000)))
    return _signed(stage, ctx)


def _steps(stage: Stage, ctx: TaskContext) -> dict[str, Any]:
    done = int((ctx.restored or {}).get("n", 0))
    stage.restored(ctx.task_id, ctx.attempt, done)
    for number in range(done, done + stage.chance.between(1, 3)):
        stage.sleep(stage.chance.pick((50, 900, 4_000)))
        if stage.chance.hit(0.2):
            ctx.progress(0.5)
        state = {"n": number + 1}
        ctx.checkpoint(state | {"text": LARGE} if stage.chance.hit(0.03) else state)
    return _signed(stage, ctx)


def _sleeps(stage: Stage, ctx: TaskContext) -> dict[str, Any]:
    ctx.emit("note", {"about": "to sleep"})
    ctx.sleep(stage.chance.pick((1, 5, 20)))
    return _quick(stage, ctx)


def _asks(stage: Stage, ctx: TaskContext) -> dict[str, Any]:
    timeout_seconds = stage.chance.pick((None, None, 3, 30))
    try:
        ctx.wait_for_signal("answer", timeout_seconds)
    except SignalTimeout:
        return _signed(stage, ctx)
    return _quick(stage, ctx)


def _gives_back(stage: Stage, ctx: TaskContext) -> dict[str, Any]:
    for _ in range(stage.chance.between(1, 2)):
        with ctx.waiting():
            stage.sleep(stage.chance.pick((20, 500, 3_000)))
        stage.sleep(100)
    return _quick(stage, ctx)


def _parent(stage: Stage, ctx: TaskContext) -> dict[str, Any]:
    fields = {"capabilities": ["cpu"], "estimate": {"runtime_seconds": 1.0}, "retry": {"backoff_seconds": 0.5}}
    children = [
        ctx.submit("plain", {"child": number}, key=f"child-{number}", attached=number == 0, **fields)
        for number in range(stage.chance.between(1, 2))
    ]
    for child in children:
        if child.attached and stage.chance.hit(0.9):
            try:
                child.result(stage.chance.pick((None, None, 60)))
            except (ChildFailed, SignalTimeout):
                return _signed(stage, ctx)
    return _signed(stage, ctx)


_COURSES: Final[Mapping[Behaviour, Callable[[Stage, TaskContext], dict[str, Any]]]] = {
    Behaviour.QUICK: _quick,
    Behaviour.SLOW: _slow,
    Behaviour.FAILS: _fails,
    Behaviour.FAILS_FOR_GOOD: _fails_for_good,
    Behaviour.THROTTLED: _throttled,
    Behaviour.LARGE: _large,
    Behaviour.MIDDLING: _middling,
    Behaviour.SILENT: _silent,
    Behaviour.FROZEN: _frozen,
    Behaviour.STEPS: _steps,
    Behaviour.SLEEPS: _sleeps,
    Behaviour.ASKS: _asks,
    Behaviour.GIVES_BACK: _gives_back,
    Behaviour.PARENT: _parent,
}
