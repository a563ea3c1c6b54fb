"""The baselines on the published noisy world: figures that were found by an independent simulation of the same rule."""

from collections.abc import Sequence

import pytest

from pushlane.simulator import SimTask, figures_of, policy_named, simulate
from pushlane.simulator.catalogue import WORLDS, load_world

WORLD = WORLDS["noisy-0.92"]


@pytest.fixture(scope="module")
def tasks() -> Sequence[SimTask]:
    return load_world(WORLD)


@pytest.mark.parametrize(
    ("policy", "quiet", "all_tasks"),
    [
        ("fifo", 60.6, 71.6),
        ("edf", 50.9, 62.8),
        ("tier-edf", 36.2, 45.5),
        ("round-robin", 13.9, 31.7),
        ("late-last-laxity", 8.3, 21.3),
        ("late-last", 5.6, 13.4),
    ],
)
def test_a_baseline_misses_what_it_is_known_to_miss(
    tasks: Sequence[SimTask], policy: str, quiet: float, all_tasks: float
) -> None:
    figures = figures_of(simulate(tasks, WORLD.setting, policy_named(policy)), WORLD.noisy)
    assert figures.miss_pct.quiet == pytest.approx(quiet, abs=0.2)
    assert figures.miss_pct.all == pytest.approx(all_tasks, abs=0.2)
    assert figures.dropped == 0
