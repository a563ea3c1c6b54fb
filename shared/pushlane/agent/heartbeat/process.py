"""The heartbeat's process, seen from the agent's: started when it is needed first, told what to keep, listened to."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from pushlane.agent.heartbeat import words
from pushlane.agent.heartbeat.beats import Beats, Report, Watch
from pushlane.ports import Clock

# Progress is told at most this often: an agent that emits a thousand times a second must not fill the pipe.
_TELL_MS: Final = 100
# A child needs this long to be ready for a beat: it imports the SDK for AWS first.
_READY_MS: Final = 2_000
_READ_BYTES: Final = 65_536
MAIN_THREAD_FLAG: Final = "--die-with-parent"


class KeptByProcess:
    """See `Kept`."""

    def __init__(self, process: "ProcessHeartbeat", number: int) -> None:
        self._process = process
        self._number = number
        self._told_ms = 0
        self._stopped = False

    def progressed(self, at_ms: int) -> None:
        if at_ms - self._told_ms >= _TELL_MS and not self._stopped:
            self._told_ms = at_ms
            self._process.tell(words.Progressed(number=self._number, at_ms=at_ms))

    def heard(self) -> list[Report]:
        return self._process.heard(self._number)

    def stop(self) -> None:
        if not self._stopped:
            self._stopped = True
            self._process.forget(self._number)


class ProcessHeartbeat:
    """One child process for this process's life. `command` starts it; it gets our pid and how many milliseconds it may
    sleep first as arguments.

    A child that has died is started again for the next attempt, and for the running ones at their next progress.
    """

    def __init__(self, command: Sequence[str], table: str, clock: Clock, log: Callable[..., None]) -> None:
        self._command = tuple(command)
        self._table = table
        self._clock = clock
        self._log = log
        self._child: subprocess.Popen[bytes] | None = None
        self._watches: dict[int, words.Keep] = {}
        self._reports: dict[int, list[Report]] = {}
        self._unread = b""
        self._numbers = 0
        self._lock = threading.RLock()

    def keep(self, watch: Watch) -> KeptByProcess | None:
        """See `Heartbeat.keep`: None when no process can be started here."""
        with self._lock:
            self._numbers += 1
            ahead_ms = self._clock.now_ms() - time.time_ns() // 1_000_000
            word = words.Keep(number=self._numbers, table=self._table, watch=watch, ahead_ms=ahead_ms)
            self._watches[word.number], self._reports[word.number] = word, []
            if not self.tell(word):
                self.forget(word.number)
                return None
            return KeptByProcess(self, word.number)

    def tell(self, word: words.Word) -> bool:
        """Say it to the child, starting one if there is none; False when there cannot be one."""
        with self._lock:
            return self._write(words.line(word)) if self._is_running() else self._start()

    def heard(self, number: int) -> list[Report]:
        """What the child has said of an attempt since the last time."""
        with self._lock:
            self._listen()
            heard, self._reports[number] = self._reports.get(number, []), []
            return heard

    def forget(self, number: int) -> None:
        """The attempt is over."""
        with self._lock:
            self._watches.pop(number, None)
            self._reports.pop(number, None)
            if self._is_running():
                self._write(words.line(words.Stop(number=number)))

    def close(self) -> None:
        """End the child. It would also end with this process."""
        with self._lock:
            child, self._child = self._child, None
            if child is not None and child.stdin is not None and child.stdout is not None:
                with contextlib.suppress(BrokenPipeError):
                    child.stdin.close()
                child.wait(timeout=10)
                child.stdout.close()

    @property
    def pid(self) -> int | None:
        """Of the child, while there is one."""
        return self._child.pid if self._child is not None and self._is_running() else None

    def _is_running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def _start(self) -> bool:
        """Start a child and tell it all that is to be kept."""
        self.close()
        # Only the main thread lasts as long as the process, and it is the thread's end that the kernel tells of.
        more = [MAIN_THREAD_FLAG] if threading.current_thread() is threading.main_thread() else []
        # The child has to find the package where this process found it, through its own sys.path perhaps.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(one for one in sys.path if one)}
        try:
            self._child = subprocess.Popen(
                [*self._command, str(os.getpid()), str(self._quiet_ms()), *more],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
            )
        except OSError as error:
            self._log("no-heartbeat", reason=f"{type(error).__name__}: {error}", next="leases last for the invocation")
            return False
        if self._child.stdout is not None:
            os.set_blocking(self._child.stdout.fileno(), False)
        self._unread = b""
        return all(self._write(words.line(word)) for word in self._watches.values())

    def _quiet_ms(self) -> int:
        due_ms = [due for word in self._watches.values() if (due := Beats(word.watch).due_ms()) is not None]
        return max(0, min(due_ms, default=0) - self._clock.now_ms() - _READY_MS)

    def _write(self, said: bytes) -> bool:
        if self._child is None or self._child.stdin is None:
            return False
        try:
            self._child.stdin.write(said)
        except BrokenPipeError:
            return False
        return True

    def _listen(self) -> None:
        while self._child is not None and self._child.stdout is not None:
            chunk = self._child.stdout.read(_READ_BYTES)
            if not chunk:
                return
            *lines, self._unread = (self._unread + chunk).split(b"\n")
            for one in lines:
                self._note(one)

    def _note(self, one: bytes) -> None:
        with contextlib.suppress(msgspec.DecodeError):  # a library's own print is no word of ours
            said = words.said_of(one)
            if said.number in self._reports:
                self._reports[said.number].append(said.report)
