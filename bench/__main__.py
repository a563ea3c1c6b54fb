"""`make bench`: Pushlane against the floor, polling fleets and a bare queue, all on the same emulator in one run.

Writes build/bench/report.json and report.md. A section that fails is reported, the others go on, and the exit code is
1. Targets that are not met are listed; with --check they are an error as well (exit code 2). At most 20 minutes.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import msgspec

from bench.computed import note_cost, note_counts, note_decisions, note_imports
from bench.counts import Counted
from bench.emulated import run_emulated
from bench.packages import packages_kb
from bench.place import BUILD
from bench.report import Report, Target, page, targets
from bench.scale import FULL, QUICK
from bench.sections import Run


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="too few samples to say anything: to work on the bench")
    parser.add_argument("--json", action="store_true", help="print the report as JSON, progress to stderr")
    parser.add_argument("--check", action="store_true", help="a target that is not met is an error")
    chosen = parser.parse_args(arguments)
    run = Run(QUICK if chosen.quick else FULL, lambda line: print(line, file=sys.stderr, flush=True))
    report = measure(run)
    written = write(report)
    print(written if chosen.json else page(report))
    unmet = [one.name for one in report.targets if not one.met]
    if unmet:
        print(f"targets not met: {'; '.join(unmet)}", file=sys.stderr)
    if report.failed:
        print(f"sections that failed: {', '.join(report.failed)}", file=sys.stderr)
    return 1 if report.failed else 2 if unmet and chosen.check else 0


def measure(run: Run) -> Report:
    """What is counted first, then what needs only this machine, then what needs a backend."""
    counted: dict[str, Counted] = {}
    run.do("counts", lambda: counted.update(note_counts(run)))
    run.do("decisions", lambda: note_decisions(run))
    run.do("imports", lambda: note_imports(run))
    run_emulated(run)
    run.do("packages", lambda: run.report.note("package_kb", packages_kb()))
    with run.section("cost"):
        note_cost(run, counted)
    run.report.note("seconds", run.seconds)
    run.report.targets = targets(run.report)
    return run.report


def write(report: Report) -> str:
    """Both files; returns the JSON."""
    BUILD.mkdir(parents=True, exist_ok=True)
    told = {**msgspec.to_builtins(report), "targets": [_told(one) for one in report.targets]}
    written = msgspec.json.format(msgspec.json.encode(told), indent=2).decode()
    (BUILD / "report.json").write_text(written + "\n")
    (BUILD / "report.md").write_text(page(report))
    return written


def _told(target: Target) -> dict[str, Any]:
    said: dict[str, Any] = msgspec.to_builtins(target)
    return {**said, "met": target.met}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
