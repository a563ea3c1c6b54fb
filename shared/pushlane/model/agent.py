"""The agent: a registered worker with capabilities and slots, and where its tasks are pushed."""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from pushlane.model.task import DEFAULT_POOL

# Attempts in a row that an agent did not start: it is broken, and taken out for a while.
UNSTARTED_MAX: Final = 3


class AgentStatus(StrEnum):
    """`DRAINING` takes nothing new and keeps what it has. `UNAVAILABLE` takes nothing new either: its heartbeats stay
    away, or it does not start what is pushed to it.
    """

    ACTIVE = "ACTIVE"
    DRAINING = "DRAINING"
    UNAVAILABLE = "UNAVAILABLE"


class Agent(Struct, frozen=True, kw_only=True):
    """One agent as the scheduler sees it. `used` = its live reservations; `revision` counts reservation changes.

    `heartbeat_ms`: it is taken for dead when nothing was heard of it for so long; None: it sends no heartbeats, and is
    `UNAVAILABLE` until `cools_until_ms` after `unstarted` attempts in a row that it did not start.
    """

    agent_id: str
    capabilities: frozenset[str]
    slots: int
    queue_url: str
    pool: str = DEFAULT_POOL
    used: int = 0
    status: AgentStatus = AgentStatus.ACTIVE
    revision: int = 0
    heartbeat_ms: int | None = None
    heartbeat_at_ms: int | None = None
    unstarted: int = 0
    cools_until_ms: int | None = None

    @property
    def pin(self) -> str:
        """The capability of being this very agent; no id has an `@` or a `/` in it, so nobody else can claim it."""
        return pin_of(self.pool, self.agent_id)

    @property
    def accepting(self) -> bool:
        return self.status is AgentStatus.ACTIVE

    @property
    def on_trial(self) -> bool:
        """It did not start what it got, and has to show that it does."""
        return self.unstarted >= UNSTARTED_MAX

    @property
    def capacity(self) -> int:
        """How many tasks it is given at once."""
        return 1 if self.on_trial else self.slots

    @property
    def free(self) -> int:
        """Slots that a new attempt may take now."""
        return max(0, self.capacity - self.used) if self.accepting else 0

    def can_run(self, capabilities: tuple[str, ...]) -> bool:
        if self.capabilities.issuperset(capabilities):
            return True
        return capabilities[0].startswith("@") and capabilities == (self.pin,)


def pin_of(pool: str, agent_id: str) -> str:
    """What is asked for that only one agent can do: to go on with an attempt that runs in its process."""
    return f"@{pool}/{agent_id}"
