"""The backstop, once a minute: a turn on every pool, and counters recomputed from their reservations."""

from collections import Counter
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from pushlane.model.agent import Agent
from pushlane.model.errors import PushlaneError
from pushlane.model.events import FactName
from pushlane.model.ids import digest
from pushlane.ports import ConditionFailed, Equals, ItemStore, Table, Update
from pushlane.router.due import UNREADABLE, run_due
from pushlane.router.push import Pusher
from pushlane.router.quarantine import record_fact
from pushlane.router.turn import TurnPorts
from pushlane.state import keys
from pushlane.state.items import agent_of
from pushlane.state.loading import POOL_ITEMS_MAX

_POOLS_MAX: Final = 1_000
_ATTEMPTS_MAX: Final = 100_000


class Swept(Struct, frozen=True, kw_only=True):
    """What a sweep found: inputs that were due although no message brought them, and repaired counters."""

    pools: int
    due: int
    repaired: int
    failed: tuple[str, ...]


def sweep(ports: TurnPorts, pusher: Pusher, log: Callable[..., None]) -> Swept:
    """Go through every pool; one that fails does not keep the others from their turn."""
    pools = [item.key.sk for item in ports.store.query(Table.SCHEDULER, keys.POOLS, limit=_POOLS_MAX)]
    due, repaired, failed = 0, 0, []
    for pool in pools:
        try:
            due += run_due(ports, pusher, pool)
            repaired += repair(ports, pool)
        except (PushlaneError, *UNREADABLE) as error:
            log("sweep-failed", pool=pool, error=f"{type(error).__name__}: {error}")
            failed.append(pool)
    return Swept(pools=len(pools), due=due, repaired=repaired, failed=tuple(failed))


def repair(ports: TurnPorts, pool: str) -> int:
    """Set each agent's used slots to its live reservations where they differ; returns how many were wrong.

    The agents are read before the attempts, and a repair holds only while the agent's revision has not moved since:
    every reservation and release moves it, so a count made beside a running turn is never written.
    """
    items = ports.store.query(Table.SCHEDULER, keys.pool_pk(pool), limit=POOL_ITEMS_MAX)
    agents = [agent_of(item) for item in items if item.key.sk.startswith(keys.AGENT_PREFIX)]
    live = _live_reservations(ports.store, pool)
    return sum(
        _repair_agent(ports, agent, live[agent.agent_id]) for agent in agents if agent.used != live[agent.agent_id]
    )


def _live_reservations(store: ItemStore, pool: str) -> Counter[str]:
    live: Counter[str] = Counter()
    for bucket in range(keys.ATTEMPT_BUCKETS):
        items = store.query(Table.ATTEMPTS, keys.attempt_pk(pool, bucket), limit=_ATTEMPTS_MAX)
        live.update(str(item.attributes["agent_id"]) for item in items)
    return live


def _repair_agent(ports: TurnPorts, agent: Agent, live: int) -> int:
    unmoved = (Equals("revision", agent.revision), Equals("used", agent.used))
    try:
        ports.store.write(
            Update(
                keys.agent_key(agent.pool, agent.agent_id), set={"used": live}, add={"revision": 1}, conditions=unmoved
            )
        )
    except ConditionFailed:
        return 0  # a turn was faster; the next sweep looks again
    fact_id = digest("repaired", agent.pool, agent.agent_id, str(agent.revision))
    reason = f"used slots {agent.used} -> {live}: the live reservations"
    record_fact(
        ports.store,
        ports.clock,
        FactName.CAPACITY_REPAIRED,
        fact_id,
        {"pool": agent.pool, "agent_id": agent.agent_id, "reason": reason},
    )
    return 1
