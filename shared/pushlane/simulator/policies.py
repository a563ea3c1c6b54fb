"""The policies by name."""

from collections.abc import Sequence
from typing import Final

from pushlane.model.errors import PushlaneError
from pushlane.simulator.baselines import baseline
from pushlane.simulator.orders import (
    LateLast,
    NoisyNeighbour,
    RoundRobin,
    Sorted,
    by_arrival,
    by_deadline,
    by_tier,
    by_tier_and_deadline,
    by_tier_and_laxity,
)
from pushlane.simulator.run import Policy, Scheduler
from pushlane.simulator.setting import Setting
from pushlane.simulator.tasks import SimTask

PUSHLANE: Final = "pushlane"


class UnknownPolicy(PushlaneError):
    """There is no policy of that name."""


def _pushlane(setting: Setting, tasks: Sequence[SimTask]) -> Scheduler:
    from pushlane.simulator.pool import SimulatedPool

    return SimulatedPool(setting, tasks)


BASELINES: Final[dict[str, Policy]] = {
    "fifo": baseline(lambda: Sorted(by_arrival)),
    "priority": baseline(lambda: Sorted(by_tier)),
    "edf": baseline(lambda: Sorted(by_deadline)),
    "tier-edf": baseline(lambda: Sorted(by_tier_and_deadline)),
    "late-last": baseline(lambda: LateLast(by_tier_and_deadline)),
    "late-last-laxity": baseline(lambda: LateLast(by_tier_and_laxity)),
    "round-robin": baseline(RoundRobin),
    "sqs-fair": baseline(NoisyNeighbour),
}
POLICIES: Final[dict[str, Policy]] = {PUSHLANE: _pushlane, **BASELINES}
DESCRIPTIONS: Final = {
    PUSHLANE: "the product's own plan()",
    "fifo": "first in, first out",
    "priority": "strict priority between tiers, first in, first out inside",
    "edf": "earliest deadline first, whatever the tier",
    "tier-edf": "strict priority, earliest deadline first inside",
    "late-last": "tier-edf, but what cannot make its deadline goes last; no fairness between tenants",
    "late-last-laxity": "as late-last, least laxity first inside",
    "round-robin": "strict priority, tenants in turn by task count (like Temporal's fairness keys)",
    "sqs-fair": "a queue a tier, noisy tenants' tasks after the others' (like SQS fair queues)",
}


def policy_named(name: str) -> Policy:
    """The policy of a name; raises `UnknownPolicy` with the names there are."""
    if name not in POLICIES:
        raise UnknownPolicy(f"there is no policy {name!r}; choose from {', '.join(POLICIES)}")
    return POLICIES[name]
