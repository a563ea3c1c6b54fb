"""Policies compared on one trace that a user brings."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from pushlane.simulator.curves import Curves, curves_of
from pushlane.simulator.experiment import credit_s
from pushlane.simulator.figures import figures_of
from pushlane.simulator.policies import policy_named
from pushlane.simulator.report import Document, Line, document_of
from pushlane.simulator.run import simulate
from pushlane.simulator.setting import Setting
from pushlane.simulator.tasks import tasks_of
from pushlane.simulator.trace import InvalidTrace, TraceTask


class Question(Struct, frozen=True, kw_only=True):
    """What to compare: `noisy` is the tenant that the quiet ones are counted apart from, if any."""

    name: str
    setting: Setting
    policies: tuple[str, ...]
    sigma: float
    seed: int
    noisy: str | None = None


class Comparison(Struct, frozen=True, kw_only=True):
    """The figures as a report of one world, and the curves by policy."""

    document: Document
    curves: dict[str, Curves]


def compare(trace: Sequence[TraceTask], question: Question, began: Callable[[str], None]) -> Comparison:
    """Run the policies one after the other; `began` is told each name. Raises `PushlaneError`s that say what to do."""
    if not trace:
        raise InvalidTrace("the trace has no tasks")
    if question.noisy is not None and all(task.tenant != question.noisy for task in trace):
        raise InvalidTrace(f"the noisy tenant {question.noisy!r} has no task in the trace")
    policies = {name: policy_named(name) for name in question.policies}
    tasks = tasks_of(trace, question.setting, question.sigma, question.seed)
    lines: list[Line] = []
    curves: dict[str, Curves] = {}
    for name, policy in policies.items():
        began(name)
        run = simulate(tasks, question.setting, policy)
        curves[name] = curves_of(run, question.noisy)
        lines.append(
            Line(
                world=question.name,
                slots=question.setting.slots,
                seed=question.seed,
                noisy_tenant=question.noisy,
                sigma=question.sigma,
                policy=name,
                figures=figures_of(run, question.noisy, credit_s(name)),
            )
        )
    return Comparison(document=document_of(lines), curves=curves)
