"""Isolation: one tenant drops 10,000 tasks at once on a pool that twenty others share. What do the others feel?

Three runs of the same hour: without the burst (control), with it, and with the bursting tenant capped at a quarter of
the slots. Waits are held against the bound that the guaranteed shares give, and against the control.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from pushlane.model.policy import Policy
from pushlane.model.task import Tier
from pushlane.simulator import worlds
from pushlane.simulator.experiment import RunFailed
from pushlane.simulator.figures import Waits, waits_of
from pushlane.simulator.policies import PUSHLANE, policy_named
from pushlane.simulator.run import Ran, Run, simulate
from pushlane.simulator.setting import PoolSetting, Setting, checked
from pushlane.simulator.targets import URGENT, Verdict
from pushlane.simulator.tasks import tasks_of

SLOTS: Final = 20
CAP: Final = SLOTS // 4
BURST_TASKS: Final = 10_000
BURST_AT_SECONDS: Final = 900.0
CONTROL, BURST, CAPPED = "control", "burst", "burst, capped at 25 % of the slots"
CASES: Final = (BURST, CAPPED, CONTROL)  # the longest first
_POLICY: Final = Policy()


class Case(Struct, frozen=True, kw_only=True):
    """One of the three runs."""

    name: str
    seed: int

    @property
    def replay(self) -> str:
        """The command that repeats it."""
        return f"pushlane simulate worlds --isolation-only --seed {self.seed}"


class TierFelt(Struct, frozen=True, kw_only=True):
    """What quiet tenants' tasks of a tier waited. `bound_s`: of the task that waited longest. `closest_pct`: the
    highest part of its own bound that any of them waited; `beyond_bound`: how many waited longer than theirs.
    """

    tasks: int
    wait_s: Waits
    bound_s: float
    closest_pct: float
    beyond_bound: int


class Felt(Struct, frozen=True, kw_only=True):
    """One run as the quiet tenants felt it, by tier; runtimes in seconds."""

    case: str
    mean_runtime_s: float
    by_tier: Mapping[str, TierFelt]


def cases(seed: int) -> list[Case]:
    """The three runs."""
    return [Case(name=name, seed=seed) for name in CASES]


def run_case(case: Case) -> Felt:
    """Run one of the three here; raises `RunFailed`."""
    try:
        setting = _setting(case.name)
        trace = worlds.tasks_from(hour(case.seed, BURST_TASKS if case.name != CONTROL else 0))
        run = simulate(tasks_of(trace, setting, 0.0, case.seed), setting, policy_named(PUSHLANE))
        return felt(case.name, run)
    except Exception as error:  # whatever it is, it must be possible to repeat it
        raise RunFailed(
            f"isolation, {case.name}: {type(error).__name__}: {error}; seed {case.seed}, replay it: {case.replay}"
        ) from error


def hour(seed: int, burst: int) -> list[worlds.Row]:
    """20 steady tenants for an hour (two thirds of the slots), and a burst of high and normal tasks within a second."""
    rng = random.Random(seed)
    drawn: list[tuple[float, str, int, float]] = []
    for number in range(20):
        at = 0.0
        while (at := at + rng.expovariate(0.2)) < 3600.0:
            tier = rng.choices(range(5), worlds.WEIGHTS)[0]
            drawn.append((at, f"t{number:02d}", tier, rng.lognormvariate(0.8, 0.9)))
    for _ in range(burst):
        tier = rng.choices((1, 2), (3, 7))[0]
        drawn.append((BURST_AT_SECONDS + rng.random(), worlds.NOISY_TENANT, tier, rng.lognormvariate(0.8, 0.9)))
    return [worlds.row(at, tenant, tier, 0, 0, runtime) for at, tenant, tier, runtime in sorted(drawn)]


def verdicts(runs: Sequence[Felt]) -> list[Verdict]:
    """The two promises of isolation."""
    by_case = {one.case: one for one in runs}
    return [_within_bound(by_case[BURST]), *_moved(by_case[CONTROL], by_case[CAPPED])]


def felt(case: str, run: Run) -> Felt:
    """Waits of the quiet tenants of a run, and how they stand to the bound."""
    quiet = [one for one in run.ran if one.task.tenant != worlds.NOISY_TENANT]
    by_tier = {tier: [one for one in quiet if one.task.tier is tier] for tier in Tier}
    return Felt(
        case=case,
        mean_runtime_s=round(sum(one.task.runtime_ms for one in run.ran) / len(run.ran) / 1_000, 3),
        by_tier={tier.value: _tier(tier, ran, run) for tier, ran in by_tier.items() if ran},
    )


def _tier(tier: Tier, quiet: Sequence[Ran], run: Run) -> TierFelt:
    of_tier = [one for one in run.ran if one.task.tier is tier]
    largest: dict[str, float] = {}
    for one in of_tier:
        largest[one.task.tenant] = max(largest.get(one.task.tenant, 0.0), one.task.runtime_ms / 1_000)
    bounds = [(one.wait_s, bound_s(tier, one, ahead, largest, run.setting.slots)) for one, ahead in _ahead(quiet)]
    return TierFelt(
        tasks=len(quiet),
        wait_s=waits_of(quiet),
        bound_s=round(max(bounds)[1], 1),
        closest_pct=round(100 * max(wait / bound for wait, bound in bounds), 1),
        beyond_bound=sum(wait > bound for wait, bound in bounds),
    )


def bound_s(tier: Tier, one: Ran, ahead_s: float, largest_s: Mapping[str, float], slots: int) -> float:
    """The longest a task may wait, in seconds of slot time over what its tier is guaranteed of the slots.

    While it waits, each of n tenants is served at most what is ahead in the task's own lane, one largest cost of its
    own, and the credit of urgency: (n * (ahead + credit) + all largest) / (tier share * slots). One runtime more passes
    until a slot ends. What can no longer make its deadline is guaranteed the late share of that only.
    """
    tenants = max(1, len(largest_s))
    costs = tenants * (ahead_s + _POLICY.urgency_credit_seconds) + sum(largest_s.values())
    return costs / (guaranteed(tier, one) * slots) + max(largest_s.values())


def guaranteed(tier: Tier, one: Ran) -> float:
    """A tier's share of the pool: its minimum; the highest tier's is all that the others are not guaranteed."""
    others = sum(_POLICY.tier(other).min_share for other in Tier if other is not tier)
    rules = _POLICY.tier(tier)
    share = 1 - others if tier is Tier.CRITICAL else rules.min_share
    late = rules.feasible_first and one.task.start_by_ms < one.started_ms
    return share * rules.late_share if late else share


def _ahead(quiet: Sequence[Ran]) -> list[tuple[Ran, float]]:
    """Each task with the seconds of its own lane that were started while it waited, or ran when it came."""
    lanes: dict[str, list[Ran]] = {}
    for one in quiet:
        lanes.setdefault(one.task.tenant, []).append(one)
    return [
        (one, sum(x.task.runtime_ms for x in lane if x is not one and _before(x, one)) / 1_000)
        for lane in lanes.values()
        for one in lane
    ]


def _before(other: Ran, one: Ran) -> bool:
    return other.finished_ms > one.task.ready_ms and other.started_ms <= one.started_ms


def _within_bound(burst: Felt) -> Verdict:
    said = ", ".join(f"{tier} {one.wait_s.longest:.1f} s of {one.bound_s:.0f} s" for tier, one in burst.by_tier.items())
    beyond = sum(one.beyond_bound for one in burst.by_tier.values())
    text = f"a burst of {BURST_TASKS:,}: quiet tenants' waits are within the bound (longest wait, bound: {said})"
    return Verdict(text=text, met=beyond == 0)


def _moved(control: Felt, capped: Felt) -> list[Verdict]:
    said = []
    for tier in URGENT:
        before, after = control.by_tier[tier].wait_s.p99, capped.by_tier[tier].wait_s.p99
        text = (
            f"a burst of {BURST_TASKS:,}, capped at {CAP} of {SLOTS} slots: p99 wait of {tier} moves by at most one "
            f"mean runtime, {control.mean_runtime_s:.2f} s ({before:.2f} s to {after:.2f} s)"
        )
        said.append(Verdict(text=text, met=after - before <= control.mean_runtime_s))
    return said


def _setting(case: str) -> Setting:
    caps = {worlds.NOISY_TENANT: CAP} if case == CAPPED else {}
    return checked(Setting(pools=(PoolSetting(slots=SLOTS),), caps=caps))
