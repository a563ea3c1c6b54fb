"""Which agents of a world are not pushed to."""

from typing import Final

from pushlane.model.endpoint import Endpoint, EndpointKind
from pushlane.ports import Scalar
from pushlane.state.items import endpoint_attributes
from tests.reliability.chance import Chance
from tests.reliability.tasks import AgentShape

_WORLDS: Final = 0.15
_AGENTS: Final = 0.5
_OWN: Final = 7_919


class Pulling:
    """Half of the agents, in some worlds (`wanted`: in this one) and never where agents are lent. It has a chance of
    its own, so that the other worlds stay what they were.
    """

    def __init__(self, seed: int, *, wanted: bool, lends: bool) -> None:
        self._chance = Chance(seed * _OWN + 1)
        self.here = (self._chance.hit(_WORLDS) or wanted) and not lends
        self._share = _AGENTS if self.here else 0.0
        self._pulls: dict[str, bool] = {}

    def __call__(self, agent: AgentShape) -> bool:
        if agent.agent_id not in self._pulls:
            self._pulls[agent.agent_id] = not agent.long_lived and self._chance.hit(self._share)
        return self._pulls[agent.agent_id]

    def endpoint(self, agent: AgentShape) -> dict[str, Scalar]:
        """What its entry says of that; nothing, of one that has a queue."""
        return endpoint_attributes(Endpoint(kind=EndpointKind.PULL)) if self(agent) else {}
