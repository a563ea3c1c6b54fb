"""What a tenant's burst costs the others: quiet tenants' pickup beside a burst, and beside the same extra orders spread
over twenty tenants. Pushlane and the fleet go through it side by side, with as many slots and the same work.

The work is longer than what dispatching costs, as with real agents: the slots are what is short, not the backend.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

from msgspec import Struct

from bench.loads import Progress
from bench.systems import Order, Sent, System, pickups_ms
from pushlane.local.isolation import BURSTING, EVENLY, QUIET
from pushlane.local.percentiles import Percentiles

WORK_SECONDS: Final = 1.0
_PACE_SECONDS: Final = 0.6
_TIMEOUT_SECONDS: Final = 240.0


class Neighbourhood(Struct, frozen=True, kw_only=True):
    """Of one system: quiet tenants' pickup in milliseconds, and how long the extra orders took to be picked up."""

    burst: Percentiles
    control: Percentiles
    burst_over_control_p99: float
    extra_p99_burst: float
    extra_p99_control: float


class Plan(Struct, frozen=True, kw_only=True):
    """`extra` orders at once in a run; quiet tenants send for so long; control and burst alternate `rounds` times."""

    extra: int
    window_seconds: float
    rounds: int


Found = dict[str, tuple[list[float], list[float]]]


def measure(plan: Plan, systems: Sequence[System], progress: Progress) -> dict[str, Neighbourhood]:
    """Each system's neighbourhood by its name."""
    kinds: dict[str, tuple[str, ...]] = {"control": EVENLY, "burst": (BURSTING,)}
    found: dict[str, Found] = {kind: {one.name: ([], []) for one in systems} for kind in kinds}
    for number in range(plan.rounds):
        for kind, tenants in kinds.items():
            began = time.monotonic()
            for name, (quiet, extra) in _run(plan, systems, tenants).items():
                found[kind][name][0].extend(quiet)
                found[kind][name][1].extend(extra)
            progress(
                f"noisy neighbour: {kind}, round {number + 1} of {plan.rounds} in {time.monotonic() - began:.0f} s"
            )
    return {one.name: _compared(found["burst"][one.name], found["control"][one.name]) for one in systems}


def _run(plan: Plan, systems: Sequence[System], tenants: Sequence[str]) -> Found:
    extra = [Order(tenants[number % len(tenants)], WORK_SECONDS) for number in range(plan.extra)]
    with ExitStack() as awake:
        for system in systems:
            awake.enter_context(system.awake())
        bursts = {system.name: system.send(extra) for system in systems}
        quiet = _trickle(plan, systems)
        return {
            system.name: (
                pickups_ms(system, quiet[system.name], _TIMEOUT_SECONDS),
                pickups_ms(system, bursts[system.name], _TIMEOUT_SECONDS),
            )
            for system in systems
        }


def _trickle(plan: Plan, systems: Sequence[System]) -> dict[str, list[Sent]]:
    sent: dict[str, list[Sent]] = {system.name: [] for system in systems}
    began = time.monotonic()
    for number in range(round(plan.window_seconds / _PACE_SECONDS)):
        time.sleep(max(0.0, began + number * _PACE_SECONDS - time.monotonic()))
        for system in systems:
            sent[system.name] += system.send([Order(QUIET[number % len(QUIET)], WORK_SECONDS)])
    return sent


def _compared(burst: tuple[list[float], list[float]], control: tuple[list[float], list[float]]) -> Neighbourhood:
    beside_burst, beside_control = Percentiles.of(burst[0]), Percentiles.of(control[0])
    return Neighbourhood(
        burst=beside_burst,
        control=beside_control,
        burst_over_control_p99=round(beside_burst.p99 / max(beside_control.p99, 1.0), 3),
        extra_p99_burst=Percentiles.of(burst[1]).p99,
        extra_p99_control=Percentiles.of(control[1]).p99,
    )
