"""The whole comparison: every world, error of the estimates and policy, the isolation runs, and what they say."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from pushlane.simulator import isolation, targets
from pushlane.simulator.catalogue import WHERE, WORLDS
from pushlane.simulator.experiment import Job, Result, jobs_of, run_job, spread
from pushlane.simulator.isolation import Case, Felt
from pushlane.simulator.policies import POLICIES, PUSHLANE
from pushlane.simulator.report import Document, document_of
from pushlane.simulator.targets import Verdict
from pushlane.simulator.worlds import SEED

SIGMAS: Final = (0.0, 0.5, 1.0)


class Order(Struct, frozen=True, kw_only=True):
    """What to run. Without `requests` (the recorded trace) the conv worlds are left out."""

    worlds: tuple[str, ...] = tuple(WORLDS)
    sigmas: tuple[float, ...] = SIGMAS
    policies: tuple[str, ...] = tuple(POLICIES)
    seed: int = SEED
    requests: Path | None = None
    isolation: bool = True


class Outcome(Struct, frozen=True, kw_only=True):
    """Everything that came of it. `left_out`: what was not run, and why."""

    document: Document
    results: tuple[Result, ...]
    isolation: tuple[Felt, ...]
    verdicts: tuple[Verdict, ...]
    prices: tuple[str, ...]
    baseline_wins: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def missed(self) -> int:
        """How many targets are missed; what was not run is not missed."""
        return sum(verdict.met is False for verdict in self.verdicts)


def run_suite(order: Order, began: Callable[[int], None], done: Callable[[Result | Felt], None]) -> Outcome:
    """Run it on all cores. `began` is told the number of runs, `done` each result. Raises the first `RunFailed`."""
    possible = [name for name in order.worlds if order.requests is not None or WORLDS[name].generator != "conv"]
    left_out = tuple(f"{name} was not run. {WHERE}" for name in order.worlds if name not in possible)
    jobs = jobs_of(possible, order.sigmas, order.policies, order.seed, order.requests)
    cases = isolation.cases(order.seed) if order.isolation and PUSHLANE in order.policies else []
    # The product's own plan takes longest by far, so it begins first and the cores end together.
    mixed: list[Job | Case] = sorted([*cases, *jobs], key=lambda one: isinstance(one, Job) and one.policy != PUSHLANE)
    began(len(mixed))
    ended = spread(mixed, _run, done) if mixed else []
    results = {one.job: one for one in ended if isinstance(one, Result)}
    felt = tuple(one for one in ended if isinstance(one, Felt))
    return _outcome([results[job] for job in jobs], felt, left_out)


def write(outcome: Outcome, folder: Path) -> list[Path]:
    """Write report.json, isolation.json and statement.txt into a folder; says which files."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "report.json": _json(outcome.document),
        "isolation.json": _json(outcome.isolation),
        "statement.txt": "\n".join(statement(outcome)) + "\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    return [folder / name for name in texts]


def statement(outcome: Outcome) -> list[str]:
    """The plain words: targets met and missed, the price of fairness, and where a baseline is better."""
    judged = [verdict for verdict in outcome.verdicts if verdict.met is not None]
    targets_said = [f"target {'met' if verdict.met else 'MISSED'}: {verdict.text}" for verdict in judged]
    return [*targets_said, *outcome.prices, *outcome.baseline_wins, *outcome.left_out]


def _outcome(results: Sequence[Result], felt: tuple[Felt, ...], left_out: tuple[str, ...]) -> Outcome:
    document = document_of(result.line for result in results)
    return Outcome(
        document=document,
        results=tuple(results),
        isolation=felt,
        verdicts=(*targets.verdicts(document), *(isolation.verdicts(felt) if felt else ())),
        prices=tuple(targets.prices(document)),
        baseline_wins=tuple(targets.baseline_wins(document)),
        left_out=left_out,
    )


def _run(one: Job | Case) -> Result | Felt:
    return run_job(one) if isinstance(one, Job) else isolation.run_case(one)


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value)).decode() + "\n"
