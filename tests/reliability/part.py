"""Some worlds, one after the other, in this process; told as JSON."""

import gc
from collections import Counter
from collections.abc import Iterable

import msgspec
from msgspec import Struct

from tests.reliability.acts import Course, Ran
from tests.reliability.broken import tally
from tests.reliability.points import Standing, points, sites

_SHOWN_MAX = 5


class Part(Struct, kw_only=True):
    """What some worlds came to, added up. `found`: for each broken world its seed and what was seen."""

    worlds: int = 0
    tasks: int = 0
    events: int = 0
    calls: int = 0
    faults: dict[str, int] = {}
    broken: dict[str, int] = {}
    errors: int = 0
    found: list[str] = []
    covered: list[str] = []
    unknown: list[str] = []

    @property
    def failed(self) -> bool:
        return bool(self.broken or self.errors)


def run_part(seeds: Iterable[int], *, until_broken: bool = False, aim: str = "") -> Part:
    """Run the worlds of these seeds; `until_broken`: only to the first that breaks an invariant. `aim`: the crash
    points that they aim at; without it at all of them, a few a world.
    """
    gc.set_threshold(50_000, 20, 100)  # a world is thrown away as a whole
    known = sites()
    standing, every = Standing(known), points(aim)
    part = Part()
    for seed in seeds:
        ran = Course(seed, standing, every).run()
        add(part, ran)
        if until_broken and part.broken:
            break
    part.covered = sorted({*part.covered})
    part.unknown = sorted(standing.unknown)
    return part


def add(part: Part, ran: Ran) -> None:
    part.worlds += 1
    part.tasks += ran.tasks
    part.events += ran.events
    part.calls += ran.calls
    part.errors += len(ran.errors)
    _count(part.faults, {kind.value: times for kind, times in ran.faults.items() if times})
    _count(part.broken, tally(ran.violations))
    part.covered = list({*part.covered, *map(str, ran.covered)})
    for said in [*(f"{one.kind.value}: {one.what}" for one in ran.violations), *ran.errors][:_SHOWN_MAX]:
        part.found.append(f"seed {ran.seed}: {said}")


def merge(parts: Iterable[Part]) -> Part:
    whole = Part()
    for one in parts:
        whole.worlds += one.worlds
        whole.tasks += one.tasks
        whole.events += one.events
        whole.calls += one.calls
        whole.errors += one.errors
        whole.found = whole.found + one.found
        whole.covered = sorted({*whole.covered, *one.covered})
        whole.unknown = sorted({*whole.unknown, *one.unknown})
        _count(whole.faults, one.faults)
        _count(whole.broken, one.broken)
    return whole


def _count(counts: dict[str, int], more: dict[str, int] | Counter[str]) -> None:
    for kind, times in more.items():
        counts[kind] = counts.get(kind, 0) + times


def encoded(part: Part) -> str:
    return msgspec.json.encode(part).decode()
