"""Waiting without an invocation: sleep, and waiting for a signal. The function runs again from its checkpoint.

When it does, it comes by the same waits again, in the same order: those that are over are passed at once.
"""

from collections.abc import Callable
from typing import Any, Final

from pushlane.agent.attempt import LiveAttempt
from pushlane.agent.checkpoints import Checkpoint, Memory, stored_form
from pushlane.agent.errors import SignalTimeout
from pushlane.agent.flow import AttemptEnds
from pushlane.model.attempt import OutcomeKind
from pushlane.model.signals import Signal

# A shorter wait than this is waited through: ending an invocation and starting another costs about as much.
IN_PLACE_MS: Final = 1_000


class Waits:
    """The waits of one run of the function, and the signals that it took."""

    def __init__(self, live: LiveAttempt, restored: Checkpoint) -> None:
        self._live = live
        self._state = restored.state
        self._ends = list(restored.memory.waits)
        self._taken_before = list(restored.memory.taken)
        self._taken = list(restored.memory.taken)
        self._next = 0

    def checkpointed(self, state: dict[str, Any]) -> Checkpoint:
        """The checkpoint of this state; from here on a run begins after it.

        The same state again, before any wait, is the same place: a function that stores it whenever it comes by must
        not sleep for ever.
        """
        if self._next > 0 or state != self._state:
            self._state = state
            self._taken_before = list(self._taken)
            self._ends.clear()
            self._next = 0
        return self._checkpoint()

    def sleep(self, seconds: float) -> None:
        """See `TaskContext.sleep`."""
        ends_at_ms = self._end_of_next(seconds)
        if ends_at_ms is not None and not self._waited_through(ends_at_ms):
            raise self._suspension(ends_at_ms, None)

    def wait_for_signal(self, name: str, timeout_seconds: float | None) -> Signal:
        """See `TaskContext.wait_for_signal`."""
        found = self._wait(name, timeout_seconds, self._untaken)
        self._taken.append(found.number)
        return found

    def wait_for_child(self, name: str, timeout_seconds: float | None) -> Signal:
        """The signal that a child's end is: it may be looked at as often as one likes."""
        return self._wait(name, timeout_seconds, self.told)

    def told(self, name: str) -> Signal | None:
        """The last signal of this name that the task got: a child that was refused may be replayed, and end then."""
        return next((one for _, one in sorted(self._live.signals.items(), reverse=True) if one.name == name), None)

    def _untaken(self, name: str) -> Signal | None:
        untaken = (one for number, one in sorted(self._live.signals.items()) if number not in self._taken)
        return next((one for one in untaken if one.name == name), None)

    def _wait(self, name: str, timeout_seconds: float | None, find: Callable[[str], Signal | None]) -> Signal:
        ends_at_ms = self._end_of_next(timeout_seconds)
        found = find(name)
        if found is not None:
            return found
        # A clock that is a little behind the router's must not suspend the attempt again for a moment.
        over = ends_at_ms is not None and self._waited_through(ends_at_ms)
        self._live.say()
        found = find(name)
        if found is not None:
            return found
        if over:
            raise SignalTimeout(name, timeout_seconds or 0)
        raise self._suspension(ends_at_ms, name)

    def _end_of_next(self, seconds: float | None) -> int | None:
        """When the next wait ends: as it was decided when it was begun, if an earlier run has come by here."""
        if seconds is not None and not 0 <= seconds < float("inf"):
            raise ValueError(f"{seconds} is no number of seconds to wait: give 0 or more")
        if self._next == len(self._ends):
            self._ends.append(None if seconds is None else self._live.now_ms() + round(seconds * 1_000))
        self._next += 1
        return self._ends[self._next - 1]

    def _waited_through(self, ends_at_ms: int) -> bool:
        left_ms = ends_at_ms - self._live.now_ms()
        if left_ms > IN_PLACE_MS:
            return False
        if left_ms > 0:
            self._live.ports.sleep(left_ms / 1_000)
        return True

    def _checkpoint(self) -> Checkpoint:
        memory = Memory(taken=tuple(sorted(self._taken_before)), waits=tuple(self._ends))
        return Checkpoint(state=self._state, memory=memory)

    def _suspension(self, resume_at_ms: int | None, awaits: str | None) -> AttemptEnds:
        live = self._live
        live.require_current()
        if live.waiting:
            raise ValueError("a wait that ends the invocation gives everything back by itself: not inside of waiting()")
        live.end_if_ordered_to_cancel()
        form = stored_form(self._checkpoint())
        live.checkpoint = None if form is None else live.claims.bounded(form, "checkpoint")
        return AttemptEnds(OutcomeKind.SUSPENDED, resume_at_ms=resume_at_ms, awaits=awaits)
