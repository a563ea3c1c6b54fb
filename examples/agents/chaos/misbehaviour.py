"""The ways a worker goes wrong, told by a payload."""

from __future__ import annotations

import os
import time
from typing import Annotated, Any, Literal, Protocol

from msgspec import Meta, Struct

CHECK_IN_SECONDS = 0.2


class Attempt(Protocol):
    """What a misbehaving task needs of its context; `attempt` counts from 1."""

    @property
    def attempt(self) -> int: ...

    def check_in(self) -> object: ...


class Order(Struct, frozen=True):
    """What to do; `times` limits it to the first so many attempts, later ones echo `value`. Without it, always."""

    do: Literal["sleep", "raise", "exit", "permanent", "echo"]
    seconds: Annotated[float, Meta(ge=0, le=900)] = 0.0
    times: Annotated[int, Meta(ge=0)] | None = None
    value: Any = None


class Misbehaved(Exception):
    """The failure that was ordered."""


class MisbehavedForGood(Misbehaved):
    """The failure that was ordered and that no retry mends."""


def carry_out(order: Order, attempt: Attempt) -> dict[str, Any]:
    """Do as ordered; if that comes to an end, return the value, the attempt, and when this code began to run."""
    ran_at_ms = time.time_ns() // 1_000_000  # first thing: pickup latency is measured up to here
    if order.times is None or attempt.attempt <= order.times:
        _misbehave(order, attempt)
    return {"value": order.value, "attempt": attempt.attempt, "ran_at_ms": ran_at_ms}


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
        case "echo":
            pass


def _sleep(seconds: float, attempt: Attempt) -> None:
    """Sleep with a check-in before each fifth of a second."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        attempt.check_in()
        time.sleep(min(CHECK_IN_SECONDS, left))
