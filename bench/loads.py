"""How orders come: at low load, steadily, in a burst. Systems take turns in blocks: they meet the same conditions."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Final

from msgspec import Struct

from bench.place import TENANT
from bench.systems import Order, Sent, System, pickups_ms

Progress = Callable[[str], None]
_WARM_UPS: Final = 6
_SEED: Final = 7
_DRAIN_SECONDS: Final = 240.0
_ORDER: Final = Order(TENANT)


class Load(Struct, frozen=True, kw_only=True):
    """`count` orders for each system in so many `rounds`. `per_second` None: all of a round at once. `evenly`: the same
    time lies between any two, else they come by chance (a Poisson process, the same for each system).
    """

    name: str
    count: int
    rounds: int
    per_second: float | None
    evenly: bool = True

    @property
    def block(self) -> int:
        """Orders of one system in one round."""
        return -(-self.count // self.rounds)

    def gaps(self, round_number: int) -> list[float]:
        """Seconds before each order of a block."""
        if self.per_second is None:
            return [0.0] * self.block
        if self.evenly:
            return [1 / self.per_second] * self.block
        chance = random.Random(_SEED + round_number)
        return [chance.expovariate(self.per_second) for _ in range(self.block)]


# The fleets hardly load the backend: they share a block, each with its own orders at the full rate.
Blocks = Sequence[Sequence[System]]


def warm_up(blocks: Blocks) -> None:
    """The first orders start functions; they do not count."""
    for system in (one for block in blocks for one in block):
        with system.awake():
            for _ in range(_WARM_UPS):
                pickups_ms(system, system.send([_ORDER]), _DRAIN_SECONDS)
            pickups_ms(system, system.send([_ORDER] * 2 * _WARM_UPS), _DRAIN_SECONDS)


def measure(load: Load, blocks: Blocks, progress: Progress) -> dict[str, list[float]]:
    """Every system's pickups in milliseconds, by its name. Each round begins with another block."""
    pickups: dict[str, list[float]] = {system.name: [] for block in blocks for system in block}
    for number in range(load.rounds):
        began = time.monotonic()
        turn = number % len(blocks)
        for block in (*blocks[turn:], *blocks[:turn]):
            for name, found in _run(load, number, block):
                pickups[name] += found
        progress(f"{load.name}: round {number + 1} of {load.rounds} in {time.monotonic() - began:.0f} s")
    return pickups


def _run(load: Load, number: int, block: Sequence[System]) -> Iterator[tuple[str, list[float]]]:
    with ExitStack() as awake:
        for system in block:
            awake.enter_context(system.awake())
        sent = _all_at_once(load, block) if load.per_second is None else _paced(load, number, block)
        for system in block:
            yield system.name, pickups_ms(system, sent[system.name], _DRAIN_SECONDS)


def _all_at_once(load: Load, block: Sequence[System]) -> dict[str, list[Sent]]:
    return {system.name: system.send([_ORDER] * load.block) for system in block}


def _paced(load: Load, number: int, block: Sequence[System]) -> dict[str, list[Sent]]:
    """Open loop: an order's time does not depend on those before it."""
    sent: dict[str, list[Sent]] = {system.name: [] for system in block}
    due = time.monotonic()
    for gap in load.gaps(number):
        due += gap
        for place, system in enumerate(block):
            time.sleep(max(0.0, due + gap * place / len(block) - time.monotonic()))
            sent[system.name] += system.send([_ORDER])
    return sent
