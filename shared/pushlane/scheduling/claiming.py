"""Claims of agents that are not pushed to: such an agent is offered nothing in a turn but what it claims in it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from pushlane.scheduling.snapshot import PoolSnapshot


class Claim(Struct, frozen=True, kw_only=True):
    """A pull agent of the pool asks for at most `at_most` tasks, now."""

    agent_id: str
    at_most: int
    claim_id: str


def with_claims(snapshot: "PoolSnapshot", inputs: Iterable[object]) -> "PoolSnapshot":
    """The snapshot in which the pull agents among the inputs are offered what they claim."""
    claims = {one.agent_id: one.at_most for one in inputs if isinstance(one, Claim)}
    if not claims:
        return snapshot
    agents = tuple(
        msgspec.structs.replace(agent, claimed=claims[agent.agent_id])
        if agent.agent_id in claims and agent.pool == snapshot.pool
        else agent
        for agent in snapshot.agents
    )
    return msgspec.structs.replace(snapshot, agents=agents)
