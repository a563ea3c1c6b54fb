"""`python -m pushlane.simulator --trace FILE.csv --slots N`: prints the report as JSON."""

import argparse
import sys
from pathlib import Path

import msgspec

from pushlane.model.errors import PushlaneError
from pushlane.simulator.policies import POLICIES, PUSHLANE, policy_named
from pushlane.simulator.report import Report, report_of
from pushlane.simulator.run import simulate
from pushlane.simulator.setting import one_pool
from pushlane.simulator.tasks import tasks_of
from pushlane.simulator.trace import InvalidTrace, read_trace, slots_for_load
from pushlane.simulator.worlds import SEED


def main(argv: list[str]) -> int:
    arguments = _parser().parse_args(argv)
    try:
        report = _simulated(arguments)
    except (PushlaneError, OSError) as error:
        print(f"{arguments.trace}: {error}", file=sys.stderr)
        return 2
    print(msgspec.json.format(msgspec.json.encode(report)).decode())
    return 0


def _simulated(arguments: argparse.Namespace) -> Report:
    with arguments.trace.open(newline="") as lines:
        trace = read_trace(lines)
    if not trace:
        raise InvalidTrace("the trace has no tasks")
    setting = one_pool(arguments.slots if arguments.slots is not None else slots_for_load(trace, arguments.load))
    tasks = tasks_of(trace, setting, arguments.estimate_error, arguments.seed)
    return report_of(simulate(tasks, setting, policy_named(arguments.policy)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pushlane.simulator", description=__doc__)
    parser.add_argument("--trace", type=Path, required=True, help="CSV, see pushlane.simulator.trace")
    capacity = parser.add_mutually_exclusive_group(required=True)
    capacity.add_argument("--slots", type=int, help="agent slots of the pool")
    capacity.add_argument("--load", type=float, help="work offered / capacity; gives the slots")
    parser.add_argument("--policy", default=PUSHLANE, help=f"one of {', '.join(POLICIES)}")
    parser.add_argument("--estimate-error", type=float, default=0.0, metavar="SIGMA", help="lognormal; 0 is exact")
    parser.add_argument("--seed", type=int, default=SEED, help="of the errors")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
