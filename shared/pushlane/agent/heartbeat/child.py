"""The heartbeat's own process: one for each agent process, for all of its attempts, and never longer than it.

It ends with its parent: at the end of its standard input, by the kernel's word on Linux, and it looks for its parent
before every beat, because a grandchild may hold the pipe open. After a freeze (a sandbox that was paused) it listens
before it writes: its parent, thawed with it, may just be saying that the attempt is over. What it writes then is fenced
by (epoch, runner, no outcome) like every word of an agent.
"""

import os
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import Final

from pushlane.agent.heartbeat import words
from pushlane.agent.heartbeat.beats import Beats
from pushlane.ports import ItemStore

_ROUND_SECONDS: Final = 1.0
_FROZEN_MS: Final = 3_000  # a round that took so much longer than it should was a freeze
_LISTEN_MS: Final = 250
_AGAIN_MS: Final = 200
_READ_BYTES: Final = 65_536
_PR_SET_PDEATHSIG: Final = 1

MakeStore = Callable[[str], ItemStore]


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


class _Heart:
    """One attempt's beats, with its store and its clock."""

    def __init__(self, word: words.Keep) -> None:
        self.number = word.number
        self.table = word.table
        self.ahead_ms = word.ahead_ms
        self.beats = Beats(word.watch)
        self.not_before_ms = 0

    def due_wall_ms(self) -> int | None:
        due_ms = self.beats.due_ms()
        return None if due_ms is None else max(due_ms - self.ahead_ms, self.not_before_ms)


class HeartbeatProcess:
    """Reads words from `read_fd`, writes what it hears to `write_fd`, and keeps leases by `make_store(table)`."""

    def __init__(self, parent_pid: int, make_store: MakeStore, read_fd: int = 0, write_fd: int = 1) -> None:
        self._parent_pid = parent_pid
        self._make_store = make_store
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._stores: dict[str, ItemStore] = {}
        self._hearts: dict[int, _Heart] = {}
        self._unread = b""

    def run(self) -> None:
        """Until the parent is gone."""
        while self._orphan() is False and self._round():
            for heart in list(self._hearts.values()):
                self._beat_if_due(heart)

    def _orphan(self) -> bool:
        return os.getppid() != self._parent_pid

    def _round(self) -> bool:
        """Listen until the next beat is due; False when the parent has closed its end."""
        before_ms = wall_ms()
        wait_seconds = self._wait_seconds(before_ms)
        ready, _, _ = select.select([self._read_fd], [], [], wait_seconds)
        now_ms = wall_ms()
        if now_ms - before_ms > (wait_seconds or 0) * 1_000 + _FROZEN_MS and wait_seconds is not None:
            self._listen_first(now_ms)
        return self._read() if ready else True

    def _wait_seconds(self, now_ms: int) -> float | None:
        """None without attempts: an idle heart costs nothing, not even a wake-up a second."""
        if not self._hearts:
            return None
        due = [due_ms for heart in self._hearts.values() if (due_ms := heart.due_wall_ms()) is not None]
        return min([_ROUND_SECONDS, *(max(0, due_ms - now_ms) / 1_000 for due_ms in due)])

    def _listen_first(self, now_ms: int) -> None:
        for heart in self._hearts.values():
            heart.not_before_ms = now_ms + _LISTEN_MS

    def _read(self) -> bool:
        chunk = os.read(self._read_fd, _READ_BYTES)
        *lines, self._unread = (self._unread + chunk).split(b"\n")
        for one in lines:
            self._take(words.word_of(one))
        return bool(chunk)

    def _take(self, word: words.Word) -> None:
        match word:
            case words.Keep():
                self._hearts[word.number] = _Heart(word)
            case words.Progressed() if word.number in self._hearts:
                self._hearts[word.number].beats.progressed(word.at_ms)
            case words.Stop():
                self._hearts.pop(word.number, None)

    def _beat_if_due(self, heart: _Heart) -> None:
        due_ms = heart.due_wall_ms()
        if due_ms is None or due_ms > wall_ms() or self._orphan():
            return
        try:
            report = heart.beats.beat(self._store(heart.table), wall_ms() + heart.ahead_ms)
        except Exception as error:  # whatever a network or a store can raise: the next beat may do better
            sys.stderr.write(f"pushlane heartbeat: {type(error).__name__}: {error}\n")
            heart.not_before_ms = wall_ms() + _AGAIN_MS
            return
        if report is not None:
            os.write(self._write_fd, words.line(words.Said(number=heart.number, report=report)))
        if heart.beats.over:
            self._hearts.pop(heart.number, None)

    def _store(self, table: str) -> ItemStore:
        if table not in self._stores:
            self._stores[table] = self._make_store(table)
        return self._stores[table]


def die_with_parent() -> None:
    """Ask the kernel (Linux) to end this process when the thread that started it ends."""
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
