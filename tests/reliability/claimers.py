"""Agents that are not pushed to: they claim, lose the answer, claim again by the same id, and run what they were given
as others run what was pushed to them.
"""

from collections.abc import Callable
from functools import partial

from pushlane.model.errors import InvalidEvent
from pushlane.router.claim import Claimed, claim
from tests.reliability.deliveries import Deliveries
from tests.reliability.handlers import queue_of
from tests.reliability.invocations import Invocation
from tests.reliability.tasks import AgentShape
from tests.reliability.world import World

_EVERY_MS = (300, 1_000, 4_000)
_LOST = 0.1
_AT_MOST = (1, 1, 2, 5)


class Claimers:
    """Of one world: those of its agents that were registered as such first."""

    def __init__(self, world: World, deliveries: Deliveries) -> None:
        self._world = world
        self._deliveries = deliveries
        self._agents = [agent for agent in world.agents if world.pulls(agent)]
        self._next_ms = {agent: world.clock.now_ms() for agent in self._agents}
        self._ids: dict[AgentShape, str] = {}  # of claims whose answer has not come

    def next_ms(self) -> int | None:
        return min(self._next_ms.values(), default=None)

    def due(self, now_ms: int) -> list[Callable[[], None]]:
        return [partial(self._claim, agent) for agent in self._agents if self._next_ms[agent] <= now_ms]

    def _claim(self, agent: AgentShape) -> None:
        world = self._world
        self._next_ms[agent] = world.clock.now_ms() + world.chance.pick(_EVERY_MS)
        claim_id = self._ids.setdefault(agent, world.new_id("claim"))
        environment, at_most = world.environment(), world.chance.pick(_AT_MOST)
        environment.busy = True
        found: list[Claimed] = []

        def work() -> None:
            try:
                found.extend(claim(environment.turn, environment.pusher, agent.pool, agent.agent_id, claim_id, at_most))
            except InvalidEvent:
                found.clear()  # somebody has removed it, or registered it with a queue

        def over(died: BaseException | None) -> None:
            environment.busy = False
            environment.seen = world.commits
            if died is not None:
                world.forget(environment)
            elif not (self._deliveries.stormy and world.chance.hit(_LOST)):
                self._answered(agent, found)

        self._deliveries.invoke(Invocation(f"claim/{agent.agent_id}", work, over))

    def _answered(self, agent: AgentShape, found: list[Claimed]) -> None:
        self._ids.pop(agent, None)
        for one in found:
            self._world.send(queue_of(agent.agent_id, agent.pool), one.document, 0)
