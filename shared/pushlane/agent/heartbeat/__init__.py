"""The heartbeat: it proves that an agent's process is alive while its code is busy with other things.

On Lambda it is a child process (`ProcessHeartbeat`), because a call into C can hold the interpreter for minutes; in
tests it goes by a virtual clock (`InMemoryHeartbeats`).
"""

from typing import Protocol

from pushlane.agent.heartbeat.beats import Report, Watch


class Kept(Protocol):
    """One attempt that a heartbeat keeps alive."""

    def progressed(self, at_ms: int) -> None:
        """The work showed a sign of life; without one for `stall_ms` the heartbeat lets the lease run out."""
        ...

    def heard(self) -> list[Report]:
        """What the router has said since the last time, as the heartbeat found it."""
        ...

    def stop(self) -> None:
        """The attempt is over. Does nothing the second time."""
        ...


class Heartbeat(Protocol):
    """Keeps the leases of attempts alive."""

    def keep(self, watch: Watch) -> Kept | None:
        """Begin with an attempt; None when that is not possible here, so that its lease has to last by itself."""
        ...


class NoHeartbeat:
    """For runtimes that cannot have one: leases last as long as the invocation."""

    def keep(self, watch: Watch) -> None:
        """Nothing is kept."""
        return


__all__ = ["Heartbeat", "Kept", "NoHeartbeat", "Report", "Watch"]
