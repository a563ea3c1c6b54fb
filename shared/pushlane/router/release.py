"""Let tasks go that were held back, a batch to a turn."""

from collections.abc import Iterable
from typing import Final

from pushlane.router.push import Pusher
from pushlane.router.turn import Turn, TurnPorts
from pushlane.scheduling.snapshot import Input
from pushlane.state.loading import Duty

# As many as there are arrivals in a turn: they and what they set in motion fit into one transaction.
BATCH_MAX: Final = 10


def release(ports: TurnPorts, pusher: Pusher, inputs: Iterable[tuple[str, Input]]) -> list[Duty]:
    """Run turns on the pools of the inputs and return the duties that they made necessary. One that was let go before
    is passed over. Raises `TurnContended`; what was committed stays so.
    """
    by_pool: dict[str, list[Input]] = {}
    for pool, one in inputs:
        by_pool.setdefault(pool, []).append(one)
    duties: list[Duty] = []
    for pool, held in by_pool.items():
        for first in range(0, len(held), BATCH_MAX):
            turn = Turn(ports, pusher, pool)
            turn.run(held[first : first + BATCH_MAX])
            duties += turn.duties
    return duties
