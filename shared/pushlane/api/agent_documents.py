"""What is said of agents over HTTP, and what it is answered."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from pushlane.model.agent import AgentStatus
from pushlane.model.endpoint import TARGET_CHARACTERS_MAX, EndpointKind
from pushlane.model.events import Capabilities, Dispatch
from pushlane.model.ids import Identifier
from pushlane.router.claim import CLAIM_MAX
from pushlane.router.registry import SLOTS_MAX

WAIT_SECONDS_MAX: Final = 20


class EndpointSaid(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How dispatches reach the agent. `target`: the https URL, the ARN of the function or topic, the queue's URL; none
    for `pull`, and for `websocket`: that is its connection.
    """

    kind: EndpointKind
    target: Annotated[str, Meta(max_length=TARGET_CHARACTERS_MAX)] = ""


class Registration(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An agent as it is to be. `heartbeat_seconds`: it is taken for dead when no heartbeat and no claim of it came for
    so long, and takes work from its first one on.
    """

    capabilities: Capabilities
    slots: Annotated[int, Meta(ge=1, le=SLOTS_MAX)]
    endpoint: EndpointSaid
    heartbeat_seconds: Annotated[float, Meta(ge=1, le=900)] | None = None


class PoolQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which pool; an agent's credential says it by itself."""

    pool: Identifier | None = None


class ClaimSaid(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many tasks the agent can take now. `claim_id`: a fresh id of this claim, the same when the call is repeated:
    then it is answered with the same tasks. `wait_seconds`: how long to look for one when there is none.
    """

    claim_id: Identifier
    max: Annotated[int, Meta(ge=1, le=CLAIM_MAX)] = 1
    wait_seconds: Annotated[float, Meta(ge=0, le=WAIT_SECONDS_MAX)] = 0.0


class AgentView(Struct, frozen=True, kw_only=True):
    """A registered agent. `used` of its `slots` are taken; `heartbeat_at_ms`: when it was last heard of.
    `signing_secret`: what dispatches to its URL are signed under (Standard Webhooks), told when it registers.
    """

    agent_id: str
    pool: str
    capabilities: tuple[str, ...]
    slots: int
    used: int
    status: AgentStatus
    endpoint: EndpointSaid
    heartbeat_seconds: float | None = None
    heartbeat_at_ms: int | None = None
    signing_secret: str | None = None


class AgentList(Struct, frozen=True, kw_only=True):
    """The agents of a pool."""

    agents: tuple[AgentView, ...]


class Heard(Struct, frozen=True, kw_only=True):
    """What the heartbeat changed: `heard`, `watched` (its first), `available` (it had been taken for dead), `late`."""

    outcome: str


class Removal(Struct, frozen=True, kw_only=True):
    """What became of the agent's entry."""

    outcome: str


class Dispatches(Struct, frozen=True, kw_only=True):
    """Tasks for the agent to start, each as a push would have brought it."""

    dispatches: tuple[Dispatch, ...]


class DispatchesAsTheyAre(Struct, frozen=True, kw_only=True):
    """The same, encoded already."""

    dispatches: tuple[msgspec.Raw, ...]
