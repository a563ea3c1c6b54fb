"""The ways a worker goes wrong, told by a payload."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Protocol

from msgspec import Meta, Struct

from pushlane.model.signals import Signal

CHECK_IN_SECONDS = 0.2


class Attempt(Protocol):
    """What a misbehaving task needs of its context; `attempt` counts from 1."""

    @property
    def attempt(self) -> int: ...

    @property
    def restored(self) -> Mapping[str, Any] | None: ...

    def check_in(self) -> object: ...

    def checkpoint(self, state: object) -> object: ...

    def sleep(self, seconds: float) -> None: ...

    def wait_for_signal(self, name: str, timeout_seconds: float | None = None) -> Signal: ...

    def emit(self, kind: str, data: object = None) -> None: ...


class Order(Struct, frozen=True):
    """What to do; `times` limits it to the first so many attempts, later ones echo `value`. Without it, always.

    `steps`: so many of `seconds` each, with a checkpoint after each. `doze`: end the invocation and go on `seconds`
    later. `ask`: wait for a signal named `answer`, which is the value then. `raise-steps` fails after every step.
    `tell`: emit a `part` in each of `steps`, `seconds` apart.
    """

    do: Literal["sleep", "raise", "exit", "permanent", "echo", "steps", "raise-steps", "doze", "ask", "tell"]
    seconds: Annotated[float, Meta(ge=0, le=900)] = 0.0
    steps: Annotated[int, Meta(ge=1, le=1_000)] = 1
    times: Annotated[int, Meta(ge=0)] | None = None
    value: Any = None


class Misbehaved(Exception):
    """The failure that was ordered."""


class MisbehavedForGood(Misbehaved):
    """The failure that was ordered and that no retry mends."""


def carry_out(order: Order, attempt: Attempt) -> dict[str, Any]:
    """Do as ordered; if that comes to an end, return the value, the attempt, and when this code began to run."""
    ran_at_ms = time.time_ns() // 1_000_000  # first thing: pickup latency is measured up to here
    match order.do:
        case "steps" | "raise-steps":
            return {"value": order.value, "attempt": attempt.attempt, **_steps(order, attempt)}
        case "doze":
            attempt.sleep(order.seconds)
            return {"value": order.value, "attempt": attempt.attempt}
        case "tell":
            return {"value": order.value, "attempt": attempt.attempt, "told": _tell(order, attempt)}
        case "ask":
            return {"value": attempt.wait_for_signal("answer").data, "attempt": attempt.attempt}
        case _:
            pass
    if order.times is None or attempt.attempt <= order.times:
        _misbehave(order, attempt)
    return {"value": order.value, "attempt": attempt.attempt, "ran_at_ms": ran_at_ms}


def _steps(order: Order, attempt: Attempt) -> dict[str, Any]:
    """How many steps there were, and how many were begun in all attempts together: more when some were repeated."""
    state = dict(attempt.restored or {"done": 0})
    while state["done"] < order.steps:
        time.sleep(order.seconds)
        state["done"] += 1
        attempt.checkpoint(state)
        if order.do == "raise-steps":
            raise Misbehaved(f"attempt {attempt.attempt} raised after step {state['done']}")
    return {"steps": state["done"], "resumed_at": (attempt.restored or {"done": 0})["done"]}


def _tell(order: Order, attempt: Attempt) -> int:
    for number in range(order.steps):
        time.sleep(order.seconds)
        attempt.emit("part", {"number": number, "of": order.steps})
    return order.steps


def _misbehave(order: Order, attempt: Attempt) -> None:
    match order.do:
        case "sleep":
            _sleep(order.seconds, attempt)
        case "raise":
            raise Misbehaved(f"attempt {attempt.attempt} raised as ordered")
        case "permanent":
            raise MisbehavedForGood(f"attempt {attempt.attempt} failed for good as ordered")
        case "exit":
            os._exit(1)
        case _:
            pass


def _sleep(seconds: float, attempt: Attempt) -> None:
    """Sleep with a check-in before each fifth of a second."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        attempt.check_in()
        time.sleep(min(CHECK_IN_SECONDS, left))
