"""The report: one document of all worlds, errors of the estimates and policies, and a short form for a single run."""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from pushlane.model.task import Tier
from pushlane.simulator.figures import Figures, Waits, figures_of
from pushlane.simulator.run import Run


class TierReport(Struct, frozen=True, kw_only=True):
    """One tier in the short form."""

    tasks: int
    miss_pct: float
    wait_s: Waits


class Report(Struct, frozen=True, kw_only=True):
    """The short form of a run: percent of tasks that finished after their deadline, and waits, all and by tier."""

    tasks: int
    slots: int
    miss_pct: float
    wait_s: Waits
    by_tier: Mapping[str, TierReport]
    dropped: int
    utilisation: float
    plans: int
    decisions: int
    simulated: bool = True


class AtSigma(Struct, frozen=True, kw_only=True):
    """All policies under one error of the estimates."""

    policies: dict[str, Figures]


class InWorld(Struct, frozen=True, kw_only=True):
    """One world; `sigma` is keyed by "0", "0.5", "1"."""

    slots: int
    seed: int
    noisy_tenant: str | None
    sigma: dict[str, AtSigma]


class Document(Struct, frozen=True, kw_only=True):
    """`build/sim/report.json`."""

    worlds: dict[str, InWorld]

    def figures(self, world: str, sigma: str, policy: str) -> Figures | None:
        """One policy's figures; None when it was not run."""
        in_world = self.worlds.get(world)
        at_sigma = in_world.sigma.get(sigma) if in_world else None
        return at_sigma.policies.get(policy) if at_sigma else None


class Line(Struct, frozen=True, kw_only=True):
    """One result on its way into the document."""

    world: str
    slots: int
    seed: int
    noisy_tenant: str | None
    sigma: float
    policy: str
    figures: Figures


def document_of(lines: Iterable[Line]) -> Document:
    """Results in the order in which they shall be shown."""
    worlds: dict[str, InWorld] = {}
    for line in lines:
        blank = InWorld(slots=line.slots, seed=line.seed, noisy_tenant=line.noisy_tenant, sigma={})
        at_sigma = worlds.setdefault(line.world, blank).sigma.setdefault(sigma_name(line.sigma), AtSigma(policies={}))
        at_sigma.policies[line.policy] = line.figures
    return Document(worlds=worlds)


def sigma_name(sigma: float) -> str:
    """`0`, `0.5`, `1`: no trailing zeros."""
    return f"{sigma:g}"


def report_of(run: Run) -> Report:
    """The short form of a run of at least one task."""
    figures = figures_of(run)
    counts = {tier: sum(one.task.tier is tier for one in run.ran) for tier in Tier}
    return Report(
        tasks=figures.tasks,
        slots=run.setting.slots,
        miss_pct=figures.miss_pct.all,
        wait_s=figures.wait_s["all"],
        by_tier={
            tier.value: TierReport(
                tasks=count, miss_pct=figures.miss_pct.by_tier[tier.value], wait_s=figures.wait_s[tier.value]
            )
            for tier, count in counts.items()
            if count
        },
        dropped=figures.dropped,
        utilisation=figures.utilisation,
        plans=figures.plans,
        decisions=figures.decisions,
    )
