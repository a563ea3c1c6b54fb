"""The heartbeats of simulated agents: each beats by itself until it is stopped, or its process is frozen or dead."""

from pushlane.agent.heartbeat.beats import Watch
from pushlane.agent.heartbeat.inmemory import KeptInMemory, Process
from pushlane.ports import Clock, ItemStore


class Hearts:
    """All of one world."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.beating: list[KeptInMemory] = []

    def keep(self, watch: Watch) -> KeptInMemory:
        """See `Heartbeat.keep`."""
        kept = KeptInMemory(watch)
        self.beating.append(kept)
        return kept

    def next_due_ms(self) -> int | None:
        """When the next of them beats."""
        self.beating = [one for one in self.beating if not one.over]
        return min((at for one in self.beating if (at := self._due_ms(one)) is not None), default=None)

    def due(self) -> list[KeptInMemory]:
        now_ms = self._clock.now_ms()
        return [one for one in self.beating if (at := self._due_ms(one)) is not None and at <= now_ms]

    def _due_ms(self, one: KeptInMemory) -> int | None:
        if one.over or one.process is not Process.ALIVE:
            return None
        return one.beats.due_ms()


def beat(kept: KeptInMemory, store: ItemStore, clock: Clock) -> None:
    """One beat; the child process that it runs in has the store's clock."""
    if not kept.over and kept.process is Process.ALIVE:
        kept.beat(store, clock.now_ms())
