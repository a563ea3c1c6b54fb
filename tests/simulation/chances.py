"""Policies, agents and submissions by chance. `choose` picks one of several: a seeded generator's choice, or a draw."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from pushlane.model.agent import Agent
from pushlane.model.endpoint import sqs
from pushlane.model.policy import (
    Policy,
    PoolPolicy,
    Preemption,
    Rate,
    RateUnit,
    SlotsOf,
    TaskTypePolicy,
    TenantPolicy,
    TierPolicy,
    TokenBudget,
)
from pushlane.model.task import Tier

Choose = Callable[[Sequence[Any]], Any]
POOLS: Final = ("default", "other", "spare")
TENANTS: Final = ("atlas", "birch", "cedar", "delta", "elm", "fir")
RESOURCES: Final = ("tpm", "rpm", "browsers")
_TYPES: Final = ("plain", "plain", "calls", "browses", "both")
_CAPABILITIES: Final = (("cpu",), ("gpu",), ("cpu", "gpu"))
_TOKENS_MAX: Final = 300


def a_policy(choose: Choose) -> Policy:
    """Two pools overflow to a third; two rates and some slots are shared by all; some tenants are limited."""
    lends = PoolPolicy(lane_max=choose((3, 100)), overflow_pool="spare")
    tpm = Rate(per_minute=choose((600, 6_000)), burst=choose((50, 200)), shards=choose((1, 1, 2)))
    return Policy(
        tenants={name: _a_tenant(choose) for name in TENANTS[:4]},
        resources={
            "tpm": tpm,
            "rpm": Rate(per_minute=choose((30, 120)), burst=choose((1, 3)), unit=RateUnit.REQUESTS),
            "browsers": SlotsOf(slots=choose((1, 2))),
        },
        task_types={
            "calls": TaskTypePolicy(resources=("rpm", "tpm")),
            "browses": TaskTypePolicy(resources=("browsers",), preemptible=choose((True, False))),
            "both": TaskTypePolicy(resources=("browsers", "tpm")),
        },
        pools={"default": lends, "other": lends, "spare": PoolPolicy(lane_max=choose((3, 100)))},
        tiers={Tier.LOW: TierPolicy(min_share=0.1, feasible_first=choose((True, False)), longest_wait_seconds=30)},
        preemption=Preemption(enabled=choose((True, True, False)), laxity_seconds=choose((10, 300))),
        urgency_credit_seconds=choose((0.0, 120.0)),
    )


def _a_tenant(choose: Choose) -> TenantPolicy:
    per_minute = choose((None, None, 20, 60))
    return TenantPolicy(
        weight=choose((0.5, 1.0, 3.0)),
        in_flight_max=choose((None, None, 1, 2)),
        tasks_per_minute=per_minute,
        task_burst=choose((None, 1, 2)) if per_minute else None,
        # A task of more tokens than that could never run.
        tokens_per_day=TokenBudget(hard=choose((None, None, None, _TOKENS_MAX, 2 * _TOKENS_MAX))),
    )


def some_agents(choose: Choose) -> list[Agent]:
    """Every pool can do every kind of work, by itself or with what the pool lends that it overflows to."""
    able: dict[str, list[tuple[str, ...]]] = {
        "default": [("cpu",)],
        "other": [("cpu", "gpu")],
        "spare": [("cpu", "gpu"), ("gpu",)],
    }
    return [
        Agent(
            agent_id=f"{pool}-{number}",
            pool=pool,
            capabilities=frozenset(capabilities),
            slots=choose((1, 2, 3)),
            endpoint=sqs(f"queue/agent/{pool}-{number}"),
        )
        for pool, kinds in able.items()
        for number, capabilities in enumerate(kinds)
    ]


def a_submission(choose: Choose, now_ms: int) -> dict[str, Any]:
    data: dict[str, Any] = {
        "tenant_id": choose(TENANTS),
        "task_type": choose(_TYPES),
        "capabilities": choose(_CAPABILITIES),
        "pool": choose(POOLS),
        "tier": choose(tuple(Tier)).value,
        "estimate": {"runtime_seconds": choose((0.5, 5.0, 60.0)), "tokens": choose((0, 10, 60, _TOKENS_MAX))},
        "retry": {"max_attempts": choose((1, 2, 3))},
    }
    kind = choose((None, None, "soft", "hard"))
    if kind is not None:
        data |= {"deadline_kind": kind, "deadline_ms": now_ms + choose((1, 20, 90, 400)) * 1_000}
    return data
