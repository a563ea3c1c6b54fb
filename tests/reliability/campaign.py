"""The whole run: worlds on all cores, then the same worlds on sabotaged copies of the code, then the report."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from tests.reliability.broken import Broken
from tests.reliability.part import Part, merge
from tests.reliability.points import points
from tests.reliability.sabotage import DEFECTS, Defect, sabotaged

ROOT: Final = Path(__file__).resolve().parent.parent.parent
SABOTAGE_SEEDS: Final = 200
_PART: Final = 25
# For each defect the seed that caught it when `--remember` was given last: it is tried first, for speed alone.
REMEMBERED: Final = Path(__file__).parent / "sabotage" / "seeds.json"
_GIVE_UP_SECONDS: Final = 240


class Wanted(Struct, frozen=True, kw_only=True):
    """What a run is asked for. It ends with `worlds` (when given), or once `tasks` and `faults` are reached, and at the
    latest after `seconds`.
    """

    first: int = 0
    worlds: int | None = None
    tasks: int = 100_000
    faults: int = 200_000
    seconds: float = 560.0
    processes: int = 2
    sabotage: bool = True
    only: str | None = None


class Outcome(Struct, frozen=True, kw_only=True):
    """What it came to. `escaped`: the defects that no world has caught."""

    part: Part
    missing: list[str]
    escaped: list[str]
    caught: dict[str, str]
    total_points: int
    seconds: float

    @property
    def failed(self) -> bool:
        return bool(self.part.failed or self.missing or self.escaped or self.part.unknown)


class Campaign:
    """Runs one. Each piece of work is a process of its own, so that a sabotaged copy is imported by nobody else."""

    def __init__(self, wanted: Wanted, say: Any = print) -> None:
        self._wanted = wanted
        self._say = say
        self._began = time.monotonic()
        self._parts: list[Part] = []
        self._caught: dict[str, str] = {}
        self._escaped: list[str] = []
        self._remembered: dict[str, int] = msgspec.json.decode(REMEMBERED.read_bytes())

    def run(self) -> Outcome:
        with ThreadPoolExecutor(self._wanted.processes) as pool:
            running: dict[Future[None], None] = {}
            for job in self._jobs():
                running[pool.submit(job)] = None
                while len(running) >= self._wanted.processes:
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    for one in done:
                        del running[one]
                        one.result()
            for one in running:
                one.result()
        whole = merge(self._parts)
        every = set(map(str, points()))
        return Outcome(
            part=whole,
            missing=sorted(every - set(whole.covered)),
            escaped=self._escaped,
            caught=self._caught,
            total_points=len(every),
            seconds=round(time.monotonic() - self._began, 1),
        )

    def _jobs(self) -> Iterator[Any]:
        """The seeds that the sabotage is measured by come first, then the sabotage, then as much as there is time."""
        wanted = self._wanted
        limit = wanted.first + wanted.worlds if wanted.worlds is not None else None
        head = wanted.first + (SABOTAGE_SEEDS if wanted.sabotage else _PART)
        yield from self._worlds(wanted.first, min(head, limit) if limit is not None else head)
        if wanted.sabotage:
            for defect in DEFECTS:
                if wanted.only is None or wanted.only in defect.name:
                    yield partial(self._sabotage, defect)
        first = head
        while not self._enough() and (limit is None or first < limit):
            yield from self._worlds(first, first + _PART if limit is None else min(first + _PART, limit))
            first += _PART

    def _worlds(self, first: int, end: int) -> Iterator[Any]:
        for start in range(first, end, _PART):
            yield partial(self._part, start, min(start + _PART, end) - start)

    def _enough(self) -> bool:
        wanted = self._wanted
        if time.monotonic() - self._began > wanted.seconds - 15:
            return True
        tasks = sum(part.tasks for part in self._parts)
        faults = sum(sum(part.faults.values()) for part in self._parts)
        return wanted.worlds is None and tasks >= wanted.tasks and faults >= wanted.faults

    def _part(self, first: int, count: int) -> None:
        aim = self._aim(first)
        part = _process(first, count, ["--aim", aim])
        self._parts.append(part)
        whole = merge(self._parts)
        seconds = time.monotonic() - self._began
        said = f"{whole.worlds} worlds, {whole.tasks} tasks, {sum(whole.faults.values())} faults, {seconds:.0f} s"
        self._say(f"{said}, {len(whole.covered)} crash points")
        for found in part.found:
            aimed = f" --aim '{aim}'" if aim else ""
            seed = found.split()[1].rstrip(":")
            self._say(f"  BROKEN {found}\n  replay: python -m tests.reliability --seed {seed}{aimed}")

    def _aim(self, first: int) -> str:
        """Worlds behind those that the sabotage is measured by aim at what was not met yet, while there is any."""
        if first < self._wanted.first + SABOTAGE_SEEDS:
            return ""
        return ";".join(sorted({*map(str, points())} - {*merge(self._parts).covered}))

    def _sabotage(self, defect: Defect) -> None:
        began = time.monotonic()
        likely = self._remembered.get(defect.name, -1) - self._wanted.first
        with sabotaged(defect, ROOT / "shared") as path:
            part = _process(self._wanted.first + likely, 1, [], path) if 0 <= likely < SABOTAGE_SEEDS else Part()
            if not part.broken:
                part = _process(self._wanted.first, SABOTAGE_SEEDS, ["--until-broken"], path)
        seconds = time.monotonic() - began
        if part.broken:  # an invariant, and no accident of a handler
            self._caught[defect.name] = part.found[0]
            self._say(f"caught {defect.name} after {part.worlds} worlds, {seconds:.0f} s: {part.found[0][:160]}")
        else:
            self._escaped.append(defect.name)
            self._say(f"ESCAPED {defect.name}: {part.worlds} worlds, {seconds:.0f} s")


def environment(shared: Path) -> dict[str, str]:
    """Of a process that imports Pushlane from there. A fixed hash seed, so that a world is the same everywhere."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, "PYTHONPATH": f"{shared}:{ROOT}", "PYTHONHASHSEED": "0"}


def _process(first: int, count: int, more: list[str], shared: Path = ROOT / "shared") -> Part:
    command = [sys.executable, "-m", "tests.reliability", "--part", f"{first}:{count}", *more]
    try:
        ran = subprocess.run(
            command,
            cwd=ROOT,
            env=environment(shared),
            capture_output=True,
            text=True,
            check=False,
            timeout=_GIVE_UP_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return Part(errors=0, found=[f"seed {first}: gave up after {_GIVE_UP_SECONDS} s"])
    if ran.returncode not in (0, 1) or not ran.stdout.strip():
        return Part(errors=1, found=[f"seed {first}: the process failed: {ran.stderr[-2_000:]}"])
    return msgspec.json.decode(ran.stdout.strip().splitlines()[-1], type=Part)


def remember(outcome: Outcome) -> None:
    """Keep which seed caught each defect, for the next run."""
    seeds = {name: int(found.split()[1].rstrip(":")) for name, found in sorted(outcome.caught.items())}
    REMEMBERED.write_bytes(msgspec.json.format(msgspec.json.encode(seeds), indent=2) + b"\n")


def report_of(outcome: Outcome) -> dict[str, Any]:
    part = outcome.part
    return {
        "tasks": part.tasks,
        "events": part.events,
        "faults": dict(sorted(part.faults.items())),
        **{kind.value: part.broken.get(kind.value, 0) for kind in Broken},
        "crash_points": {
            "total": outcome.total_points,
            "covered": outcome.total_points - len(outcome.missing),
        },
        "sabotage": {"total": len(outcome.caught) + len(outcome.escaped), "caught": len(outcome.caught)},
        "seconds": outcome.seconds,
    }
