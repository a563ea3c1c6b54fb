"""Each of the six signals alone moves the score its way, and only by its weight."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.model.policy import ScoreWeights
from pushlane.model.task import Tier
from pushlane.scheduling.entry import Entry
from pushlane.scheduling.score import score
from tests.unit.values import NOW, an_entry

NOTHING = ScoreWeights(base_priority=0, urgency=0, wait=0, affinity=0, unblocks=0, efficiency=0)


def changed(**fields: Any) -> Entry:
    return msgspec.structs.replace(an_entry(deadline_ms=NOW + 90_000), **fields)


@pytest.mark.parametrize(
    ("weight", "lower", "higher"),
    [
        ("base_priority", {"tier": Tier.LOW}, {"tier": Tier.HIGH}),
        ("urgency", {"start_by_ms": NOW + 90_000}, {"start_by_ms": NOW + 1_000}),
        ("wait", {"enqueued_at_ms": NOW - 1_000}, {"enqueued_at_ms": NOW - 90_000}),
        ("unblocks", {"unblocks": 0}, {"unblocks": 4}),
        ("efficiency", {"cost_ms": 90_000}, {"cost_ms": 1_000}),
    ],
)
def test_each_signal_counts_by_its_weight(weight: str, lower: dict[str, Any], higher: dict[str, Any]) -> None:
    one, two = (msgspec.structs.replace(NOTHING, **{weight: value}) for value in (1.0, 2.0))
    low, high = changed(**lower), changed(**higher)
    assert 0 <= score(low, 0, one, NOW) < score(high, 0, one, NOW) <= 1
    assert score(high, 0, two, NOW) == 2 * score(high, 0, one, NOW)
    assert score(low, 1, NOTHING, NOW) == score(high, 1, NOTHING, NOW) == 0


def test_affinity_is_what_the_caller_says() -> None:
    weights = msgspec.structs.replace(NOTHING, affinity=1.0)
    assert [score(changed(), affinity, weights, NOW) for affinity in (0.0, 0.5, 1.0)] == [0.0, 0.5, 1.0]


def test_by_default_urgency_outweighs_everything_else_together() -> None:
    calm = changed(tier=Tier.CRITICAL, start_by_ms=NOW + 600_000_000, unblocks=1_000_000, cost_ms=1)
    pressed = changed(tier=Tier.BACKGROUND, start_by_ms=NOW, cost_ms=10_000_000)
    assert score(pressed, 0, ScoreWeights(), NOW) > score(calm, 1, ScoreWeights(), NOW)


@given(
    start_by_ms=st.integers(NOW - 10**9, NOW + 10**9),
    waited_ms=st.integers(-(10**6), 10**9),
    cost_ms=st.integers(1, 10**9),
    unblocks=st.integers(0, 10**6),
    affinity=st.floats(0, 1),
    tier=st.sampled_from(list(Tier)),
)
def test_a_score_stays_within_the_sum_of_the_weights(
    start_by_ms: int, waited_ms: int, cost_ms: int, unblocks: int, affinity: float, tier: Tier
) -> None:
    weights = ScoreWeights(base_priority=1, urgency=1, wait=1, affinity=1, unblocks=1, efficiency=1)
    entry = changed(
        start_by_ms=start_by_ms, enqueued_at_ms=NOW - waited_ms, cost_ms=cost_ms, unblocks=unblocks, tier=tier
    )
    assert 0 <= score(entry, affinity, weights, NOW) <= 6
