"""`python -m pushlane.simulator --trace FILE.csv --slots N`: prints the report as JSON."""

import argparse
import sys
from pathlib import Path

import msgspec

from pushlane.simulator import InvalidTrace, read_trace, report_of, simulate


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m pushlane.simulator", description=__doc__)
    parser.add_argument("--trace", type=Path, required=True, help="CSV, see pushlane.simulator.trace")
    parser.add_argument("--slots", type=int, required=True, help="agent slots of the pool")
    arguments = parser.parse_args(argv)
    try:
        with arguments.trace.open(newline="") as lines:
            trace = read_trace(lines)
    except (InvalidTrace, OSError) as error:
        print(f"{arguments.trace}: {error}", file=sys.stderr)
        return 2
    if not trace:
        print(f"{arguments.trace}: the trace has no tasks", file=sys.stderr)
        return 2
    print(
        msgspec.json.format(msgspec.json.encode(report_of(simulate(trace, arguments.slots), arguments.slots))).decode()
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
