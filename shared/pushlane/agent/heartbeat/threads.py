"""A heartbeat by a thread, for agents that speak over HTTP: their words wait for a network, not for a processor.

A call into C that holds the interpreter keeps it from beating; where an agent does that for longer than its lease, let
it have a longer one, or run that call in a process of its own.
"""

import threading
from collections.abc import Callable
from typing import Final

from pushlane.agent.heartbeat.beats import Beats, Report, Watch
from pushlane.ports import Clock, ItemStore

_RETRY_SECONDS: Final = 1.0
# While no beat would help (the work is silent), so often it is looked whether that has changed.
_LOOK_SECONDS: Final = 0.5


class KeptByThread:
    """See `Kept`."""

    def __init__(self, watch: Watch, store: ItemStore, clock: Clock, log: Callable[..., None]) -> None:
        self._watch = watch
        self._beats = Beats(watch)
        self._store = store
        self._clock = clock
        self._log = log
        self._reports: list[Report] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        threading.Thread(target=self._run, name=f"heartbeat-{watch.task_id}", daemon=True).start()

    def progressed(self, at_ms: int) -> None:
        with self._lock:
            self._beats.progressed(at_ms)

    def heard(self) -> list[Report]:
        with self._lock:
            reports, self._reports = self._reports, []
        return reports

    def stop(self) -> None:
        self._over.set()

    def _run(self) -> None:
        while not self._over.wait(self._pause_seconds()) and not self._beats.over:
            due_ms = self._beats.due_ms()
            if due_ms is None or due_ms > self._clock.now_ms():
                continue
            try:
                report = self._beats.beat(self._store, self._clock.now_ms())
            except Exception as error:  # a heart outlives whatever the network raises; the lease is what counts
                self._log("beat-failed", task_id=self._watch.task_id, error=f"{type(error).__name__}: {error}")
                self._over.wait(_RETRY_SECONDS)
                continue
            if report is not None:
                with self._lock:
                    self._reports.append(report)

    def _pause_seconds(self) -> float:
        due_ms = self._beats.due_ms()
        if due_ms is None:
            return _LOOK_SECONDS
        return max(0.0, (due_ms - self._clock.now_ms()) / 1_000)


class ThreadHeartbeat:
    """One thread for each attempt that is kept alive."""

    def __init__(self, store: ItemStore, clock: Clock, log: Callable[..., None]) -> None:
        self._store = store
        self._clock = clock
        self._log = log

    def keep(self, watch: Watch) -> KeptByThread:
        """See `Heartbeat.keep`."""
        return KeptByThread(watch, self._store, self._clock, self._log)
