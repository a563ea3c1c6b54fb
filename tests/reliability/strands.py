"""Invocations that stop in the middle and go on later: the handlers are plain functions, so each has a stack of its own
(a greenlet). Whoever resumes a strand waits until it pauses or ends; so nothing is left to the operating system, and a
seed replays.
"""

from collections.abc import Callable

from greenlet import getcurrent, greenlet


class Crashed(BaseException):
    """The process is gone: no handler of ours runs. No `Exception`, so that no code that guards itself sees it."""


class Strand:
    """One piece of work. `resume` runs it to its next `pause`, which is called from inside."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._stack = greenlet(work)
        self._doomed = False

    @property
    def over(self) -> bool:
        return self._stack.dead

    def resume(self) -> bool:
        """Let it run until it pauses or ends; says whether it has ended."""
        self._stack.parent = getcurrent()
        self._stack.switch()
        return self.over

    def kill(self) -> None:
        """Its process dies where it stands."""
        self._doomed = True
        while not self.resume():
            pass

    def pause(self) -> None:
        """Give way to whoever resumed it; raises `Crashed` when it was killed meanwhile."""
        assert self._stack.parent is not None
        self._stack.parent.switch()
        if self._doomed:
            raise Crashed
