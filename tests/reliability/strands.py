"""Invocations that stop in the middle and go on later: the handlers are plain functions, so each has a thread of its
own, and only one thread ever runs. Whoever resumes a strand waits until it pauses or ends; so nothing is left to the
operating system, and a seed replays.
"""

import threading
from collections.abc import Callable
from typing import Final


class Crashed(BaseException):
    """The process is gone: no handler of ours runs. No `Exception`, so that no code that guards itself sees it."""


class _Thread:
    """A thread that does one piece of work after another; kept when its strand is over."""

    def __init__(self) -> None:
        self.go = threading.Lock()
        self.back = threading.Lock()
        self.go.acquire()
        self.back.acquire()
        self.work: Callable[[], None] | None = None
        self.idle = True
        threading.Thread(target=self._loop, daemon=True, name="strand").start()

    def _loop(self) -> None:
        while True:
            self.go.acquire()
            work, self.work = self.work, None
            if work is not None:
                work()
            self.idle = True
            self.back.release()


_kept: Final[list[_Thread]] = []


class Strand:
    """One piece of work. `resume` runs it to its next `pause`, which is called from inside."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._thread = _kept.pop() if _kept else _Thread()
        self._thread.work = work
        self._thread.idle = False
        self._doomed = False
        self.over = False

    def resume(self) -> bool:
        """Let it run until it pauses or ends; says whether it has ended."""
        self._thread.go.release()
        self._thread.back.acquire()
        if self._thread.idle:
            self.over = True
            _kept.append(self._thread)
        return self.over

    def kill(self) -> None:
        """Its process dies where it stands."""
        self._doomed = True
        while not self.resume():
            pass

    def pause(self) -> None:
        """Give way to whoever resumed it; raises `Crashed` when it was killed meanwhile."""
        self._thread.back.release()
        self._thread.go.acquire()
        if self._doomed:
            raise Crashed
