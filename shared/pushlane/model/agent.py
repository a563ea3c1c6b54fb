"""The agent: a registered worker with capabilities and slots, and where its tasks are pushed."""

from enum import StrEnum

from msgspec import Struct

from pushlane.model.task import DEFAULT_POOL


class AgentStatus(StrEnum):
    """`DRAINING` takes nothing new and keeps what it has."""

    ACTIVE = "ACTIVE"
    DRAINING = "DRAINING"


class Agent(Struct, frozen=True, kw_only=True):
    """One agent as the scheduler sees it. `used` = its live reservations; `revision` counts reservation changes."""

    agent_id: str
    capabilities: frozenset[str]
    slots: int
    queue_url: str
    pool: str = DEFAULT_POOL
    used: int = 0
    status: AgentStatus = AgentStatus.ACTIVE
    revision: int = 0

    @property
    def accepting(self) -> bool:
        return self.status is AgentStatus.ACTIVE

    @property
    def free(self) -> int:
        """Slots that a new attempt may take now."""
        return max(0, self.slots - self.used) if self.accepting else 0

    def can_run(self, capabilities: tuple[str, ...]) -> bool:
        return self.capabilities.issuperset(capabilities)
