"""The agent: a registered worker with capabilities and slots, and where its tasks are pushed."""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from pushlane.model.endpoint import Endpoint
from pushlane.model.mode import Route
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
    `UNAVAILABLE` until `cools_until_ms` after `unstarted` attempts in a row that it did not start. `claimed`: how many
    tasks it asks for in this very turn; an agent that is not pushed to is offered no others. It is never stored.
    """

    agent_id: str
    capabilities: frozenset[str]
    slots: int
    endpoint: Endpoint
    pool: str = DEFAULT_POOL
    used: int = 0
    status: AgentStatus = AgentStatus.ACTIVE
    revision: int = 0
    heartbeat_ms: int | None = None
    heartbeat_at_ms: int | None = None
    unstarted: int = 0
    cools_until_ms: int | None = None
    claimed: int = 0

    @property
    def pin(self) -> str:
        """The capability of being this very agent; no id has an `@` or a `/` in it, so nobody else can claim it."""
        return pin_of(self.pool, self.agent_id)

    @property
    def accepting(self) -> bool:
        return self.status is AgentStatus.ACTIVE and self.endpoint.connected

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
        return max(0, self.offered()) if self.accepting else 0

    def offered(self, freed: int = 0) -> int:
        """What it would be given now, `freed` slots in that it gets back: below zero while it runs more than it has
        slots. What a pull agent gets back is not handed on: it says itself when it wants more.
        """
        if self.endpoint.pushed:
            return self.capacity - self.used + freed
        return min(self.claimed, self.capacity - self.used)

    @property
    def route(self) -> Route:
        return Route.PUSH if self.endpoint.pushed else Route.PULL

    def can_run(self, capabilities: tuple[str, ...], route: Route | None = None) -> bool:
        """Whether work with these capabilities may come to it by `route` (None: either); what is pinned to it may."""
        if self.capabilities.issuperset(capabilities):
            return route is None or route is self.route
        return capabilities[0].startswith("@") and capabilities == (self.pin,)


def pin_of(pool: str, agent_id: str) -> str:
    """What is asked for that only one agent can do: to go on with an attempt that runs in its process."""
    return f"@{pool}/{agent_id}"
