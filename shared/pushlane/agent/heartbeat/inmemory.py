"""The heartbeats of agents in a test or a simulation, by a clock that somebody else moves."""

from collections.abc import Callable, Iterator
from enum import StrEnum

from pushlane.agent.heartbeat.beats import Beats, Report, Watch
from pushlane.ports import Clock, ItemStore


class Process(StrEnum):
    """What an agent's process does. A frozen one does nothing until it is thawed, and does not know that it was."""

    ALIVE = "alive"
    FROZEN = "frozen"
    DEAD = "dead"


class KeptInMemory:
    """See `Kept`. `process` is the state of the agent's process: set it to what the test wants."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.process = Process.ALIVE
        self.beats = Beats(watch)
        self._reports: list[Report] = []
        self._stopped = False

    @property
    def over(self) -> bool:
        """Nothing will ever beat here again."""
        return self._stopped or self.beats.over or self.process is Process.DEAD

    def progressed(self, at_ms: int) -> None:
        self.beats.progressed(at_ms)

    def heard(self) -> list[Report]:
        reports, self._reports = self._reports, []
        return reports

    def stop(self) -> None:
        self._stopped = True

    def beat(self, store: ItemStore, now_ms: int) -> None:
        """Beat once and keep what was heard; raises what the store raises."""
        report = self.beats.beat(store, now_ms)
        if report is not None:
            self._reports.append(report)


class InMemoryHeartbeats:
    """All agents' hearts. Nothing beats by itself: call `beat_due` whenever the clock has moved.

    `on_failure` hears of what the store raised at a beat; that heart tries again at the next call.
    """

    def __init__(
        self, store: ItemStore, clock: Clock, *, on_failure: Callable[[Watch, Exception], None] | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._on_failure = on_failure
        self._kept: list[KeptInMemory] = []

    def keep(self, watch: Watch) -> KeptInMemory:
        """See `Heartbeat.keep`."""
        kept = KeptInMemory(watch)
        self._kept.append(kept)
        return kept

    def of(self, task_id: str) -> KeptInMemory:
        """The heart of a task's latest attempt; raises `LookupError` if it never had one."""
        for kept in reversed(self._kept):
            if kept.watch.task_id == task_id:
                return kept
        raise LookupError(f"no attempt of {task_id} has had a heartbeat")

    def next_due_ms(self) -> int | None:
        """When the next beat is due."""
        return min((due_ms for kept in self._beating() if (due_ms := kept.beats.due_ms()) is not None), default=None)

    def beat_due(self) -> bool:
        """Do every beat that is due; says whether there was any."""
        now_ms, beaten = self._clock.now_ms(), False
        for kept in self._beating():
            due_ms = kept.beats.due_ms()
            if due_ms is not None and due_ms <= now_ms:
                beaten = self._beat(kept, now_ms) or beaten
        self._kept = [kept for kept in self._kept if not kept.over]
        return beaten

    def _beat(self, kept: KeptInMemory, now_ms: int) -> bool:
        try:
            kept.beat(self._store, now_ms)
        except Exception as error:  # a heart outlives whatever a faulty store raises, as the real one does
            if self._on_failure is None:
                raise
            self._on_failure(kept.watch, error)
            return False
        return True

    def _beating(self) -> Iterator[KeptInMemory]:
        return iter([kept for kept in self._kept if kept.process is Process.ALIVE and not kept.over])
