"""`python -m tests.reliability`: the campaign; with `--seed N` one world again, with everything that happened in it."""

import argparse
import os
import sys
from pathlib import Path
from typing import Final

import msgspec

from tests.reliability.acts import Course
from tests.reliability.campaign import ROOT, Campaign, Outcome, Wanted, environment, remember, report_of
from tests.reliability.part import encoded, run_part
from tests.reliability.points import Standing, points, sites

_LOG_MAX: Final = 400


def main(arguments: list[str]) -> int:
    asked = _parser().parse_args(arguments)
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of a set of strings must not differ between two runs
        command = [sys.executable, "-m", "tests.reliability", *arguments]
        os.execve(sys.executable, command, environment(ROOT / "shared"))
    if asked.part is not None:
        first, _, count = asked.part.partition(":")
        part = run_part(range(int(first), int(first) + int(count)), until_broken=asked.until_broken, aim=asked.aim)
        print(encoded(part))
        return int(part.failed)
    return _replay(asked.seed, asked.aim) if asked.seed is not None else _campaign(asked)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this one world and print what happened")
    parser.add_argument("--aim", default="", help="aim at these crash points only, as a replay command names them")
    parser.add_argument("--first", type=int, default=0, help="seed of the first world (default 0)")
    parser.add_argument("--worlds", type=int, help="so many worlds (default: as many as the figures need)")
    parser.add_argument("--tasks", type=int, default=100_000, help="stop once so many tasks were run")
    parser.add_argument("--faults", type=int, default=200_000, help="... and so many faults")
    parser.add_argument("--seconds", type=float, default=560.0, help="start nothing new after so long")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--no-sabotage", action="store_true", help="leave the sabotaged copies out")
    parser.add_argument("--partly", action="store_true", help="a short run: only what is broken fails it")
    parser.add_argument("--remember", action="store_true", help="keep which seed catches each defect")
    parser.add_argument("--only", help="sabotage: only defects whose name contains this")
    parser.add_argument("--out", type=Path, default=Path("build/reliability/report.json"))
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--until-broken", action="store_true", help=argparse.SUPPRESS)
    return parser


def _campaign(asked: argparse.Namespace) -> int:
    wanted = Wanted(
        first=asked.first,
        worlds=asked.worlds,
        tasks=asked.tasks,
        faults=asked.faults,
        seconds=asked.seconds,
        processes=asked.processes,
        sabotage=not asked.no_sabotage,
        only=asked.only,
    )
    outcome = Campaign(wanted, lambda line: print(line, flush=True)).run()
    report = report_of(outcome)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    print(msgspec.json.encode(report).decode())
    _tell(outcome)
    if asked.remember:
        remember(outcome)
    short = report["tasks"] < wanted.tasks or sum(report["faults"].values()) < wanted.faults
    if asked.partly:
        return int(outcome.part.failed)
    if short:
        rate = report["tasks"] / max(1.0, report["seconds"])
        print(f"the counts were not reached in {report['seconds']} s: {rate:.0f} tasks a second on this machine")
    return int(outcome.failed or short)


def _tell(outcome: Outcome) -> None:
    for point in outcome.missing:
        print(f"not covered: {point}")
    for place in outcome.part.unknown:
        print(f"a port is called where the code was not understood: {place}")
    for name in outcome.escaped:
        print(f"sabotage not caught: {name}")
    for found in outcome.part.found:
        print(f"broken: {found}")


def _replay(seed: int, aim: str) -> int:
    ran = Course(seed, Standing(sites()), points(aim), tells=True).run()
    for line in ran.log[-_LOG_MAX:]:
        print(line)
    print(f"seed {seed}: {ran.tasks} tasks, {ran.events} events, {ran.calls} calls, {sum(ran.faults.values())} faults")
    for kind, times in sorted(ran.faults.items()):
        print(f"  {times:>6} {kind}")
    for one in ran.violations:
        print(f"BROKEN {one.kind}: {one.what}")
    for error in ran.errors:
        print(f"FAILED {error}")
    return int(bool(ran.violations or ran.errors))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
