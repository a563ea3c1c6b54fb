"""The backstop, once a minute: a turn on every pool, and counters recomputed from their reservations."""

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from pushlane.model.errors import PushlaneError
from pushlane.router.agent_health import look_at_starts
from pushlane.router.due import UNREADABLE, run_due
from pushlane.router.giving_back import look_after
from pushlane.router.push import Pusher
from pushlane.router.redrive import redrive_due
from pushlane.router.repair import Seen, repair
from pushlane.router.turn import TurnPorts
from pushlane.router.unused_shapes import forget_unused
from pushlane.state.pools import registered_pools

# Named in `Swept.failed` beside pools; no pool can have this name.
COUNTERS: Final = "(counters)"


class Swept(Struct, frozen=True, kw_only=True):
    """What a sweep found: inputs that were due although no message brought them, and repaired counters."""

    pools: int
    due: int
    repaired: int
    failed: tuple[str, ...]


def sweep(ports: TurnPorts, pusher: Pusher, log: Callable[..., None]) -> Swept:
    """Go through every pool; one that fails does not keep the others from their turn."""
    pools = _pools(ports)
    due, repaired, failed = 0, 0, []
    for pool in pools:
        try:
            redriven = redrive_due(ports, pool)
            if redriven:
                log("redriven", pool=pool, tasks=redriven)
            due += run_due(ports, pusher, pool)
        except (PushlaneError, *UNREADABLE) as error:
            log("sweep-failed", pool=pool, error=f"{type(error).__name__}: {error}")
            failed.append(pool)
    try:
        seen = Seen()
        repaired = repair(ports, pools, log, seen)
        look_after(ports, pusher, seen.idle)
        look_at_starts(ports, pusher, seen.agents, seen.running)
        for shapes in seen.shapes.values():
            forget_unused(ports.store, shapes)
    except (PushlaneError, *UNREADABLE) as error:
        log("repair-failed", error=f"{type(error).__name__}: {error}")
        failed.append(COUNTERS)
    return Swept(pools=len(pools), due=due, repaired=repaired, failed=tuple(failed))


def _pools(ports: TurnPorts) -> list[str]:
    """Pools that have an agent, and those that the policy names: one of them may run on lent agents alone."""
    registered = registered_pools(ports.store)
    return sorted({*registered, *ports.policies.current().pools})
