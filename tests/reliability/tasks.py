"""What producers submit: policies, agents and tasks by chance, and the forms that a submission takes at each door."""

import hashlib
from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.model.claim_check import ClaimCheck, as_value, claim_key
from pushlane.model.ids import keyed_task_id, unkeyed_task_id
from pushlane.model.policy import (
    Policy,
    PoolPolicy,
    Preemption,
    Rate,
    RateUnit,
    Redrive,
    SlotsOf,
    TaskTypePolicy,
    TenantPolicy,
    TierPolicy,
    TokenBudget,
)
from pushlane.model.task import Door, Tier
from pushlane.model.workflow import keyed_workflow_id, unkeyed_workflow_id
from tests.reliability.chance import Chance

POOLS: Final = ("default", "other", "spare")
TENANTS: Final = ("atlas", "birch", "cedar", "delta", "elm", "fir")
TYPES: Final = ("plain", "calls", "browses", "both")
CAPABILITIES: Final = (("cpu",), ("gpu",), ("cpu", "gpu"))
_TIERS: Final = tuple(tier.value for tier in Tier)


class AgentShape(Struct, frozen=True):
    """One agent as it was registered first."""

    agent_id: str
    pool: str
    capabilities: tuple[str, ...]
    slots: int
    skew_ms: int
    long_lived: bool = False


class Submission(Struct, frozen=True, kw_only=True):
    """What was sent through a door, and the id that the task must have if it is accepted. `valid`: nothing is wrong
    with it, so that only a full lane or a conflict can refuse it.
    """

    door: Door
    source_id: str
    body: str
    task_id: str
    valid: bool = True


def a_roomy_policy(chance: Chance) -> Policy:
    """Nothing is scarce but agents: most of what comes runs at once."""
    back = Redrive(after_seconds=1, max_times=1, per_minute=60)
    spills = PoolPolicy(lane_max=1_000, redrive=chance.pick((None, back)))
    return Policy(
        task_types={"plain": _watched(chance), "calls": _watched(chance)},
        resources={
            "tpm": Rate(per_minute=1_000_000),
            "rpm": Rate(per_minute=100_000, unit=RateUnit.REQUESTS),
            "browsers": SlotsOf(slots=4),
        },
        pools=dict.fromkeys(POOLS, spills),
    )


def a_policy(chance: Chance, *, lends: bool = False) -> Policy:
    """Two pools overflow to a third (if `lends`, for certain); rates and slots are shared by all; some tenants are
    limited.
    """
    pick = chance.pick
    back = Redrive(after_seconds=pick((1, 20)), max_times=pick((1, 2)), per_minute=pick((1, 30)))
    overflow_pool = "spare" if lends else pick(("spare", "spare", None))
    borrows = PoolPolicy(lane_max=pick((2, 3, 100)), overflow_pool=overflow_pool, redrive=pick((None, back)))
    return Policy(
        tenants={name: _a_tenant(chance) for name in TENANTS[:4]},
        default_tenant=TenantPolicy(in_flight_max=pick((None, None, None, 3))),
        resources={
            "tpm": Rate(per_minute=pick((6_000, 20_000)), burst=pick((300, 1_000)), shards=pick((1, 1, 2))),
            "rpm": Rate(per_minute=pick((120, 400)), burst=pick((2, 10)), unit=RateUnit.REQUESTS),
            "browsers": SlotsOf(slots=pick((1, 2))),
        },
        task_types={
            "plain": _watched(chance),
            "calls": TaskTypePolicy(resources=("rpm", "tpm")),
            "browses": TaskTypePolicy(resources=("browsers",), preemptible=pick((True, False))),
            "both": TaskTypePolicy(resources=("browsers", "tpm")),
        },
        pools={"default": borrows, "other": borrows, "spare": PoolPolicy(lane_max=pick((3, 100)))},
        tiers={Tier.LOW: TierPolicy(min_share=0.1, feasible_first=pick((True, False)), longest_wait_seconds=30)},
        preemption=Preemption(enabled=pick((True, True, False)), laxity_seconds=pick((10, 300))),
        urgency_credit_seconds=pick((0.0, 120.0)),
    )


def _watched(chance: Chance) -> TaskTypePolicy:
    return TaskTypePolicy(
        lease_seconds=chance.pick((5, 5, 30)),
        stall_seconds=chance.pick((None, None, 10)),
        cancel_grace_seconds=chance.pick((0, 2, 10)),
    )


def _a_tenant(chance: Chance) -> TenantPolicy:
    per_minute = chance.pick((None, None, 60, 240))
    return TenantPolicy(
        weight=chance.pick((0.5, 1.0, 3.0)),
        in_flight_max=chance.pick((None, None, 1, 2)),
        tasks_per_minute=per_minute,
        task_burst=chance.pick((None, 1, 2)) if per_minute else None,
        tokens_per_day=TokenBudget(hard=chance.pick((None, None, None, None, 2_000))),
    )


def without_budgets(policy: Policy) -> Policy:
    """The same, so that everything that waits can run: nobody waits for tomorrow."""
    tenants = {
        name: msgspec.structs.replace(rules, tokens_per_day=TokenBudget()) for name, rules in policy.tenants.items()
    }
    return msgspec.structs.replace(policy, tenants=tenants)


def some_agents(chance: Chance, slots: tuple[int, ...]) -> list[AgentShape]:
    """Every pool can do every kind of work, by itself or with what it borrows."""
    kinds = (("default", ("cpu", "gpu")), ("default", ("cpu",)), ("other", ("cpu", "gpu")), ("spare", ("cpu", "gpu")))
    skews = (0, 0, 0, -1_500, 1_500, 4_000)
    return [
        AgentShape(f"{pool}-{number}", pool, able, chance.pick(slots), chance.pick(skews))
        for number, (pool, able) in enumerate(kinds)
    ]


def a_plain_task(chance: Chance, now_ms: int) -> dict[str, Any]:
    """One of many of a kind, where there is room for all of them."""
    plain = {"task_type": "plain", "capabilities": ("cpu",), "pool": "default", "tier": "normal"}
    return a_task(chance, now_ms) | (plain if chance.hit(0.9) else {})


# Whose retries go to another pool.
_ELSEWHERE: Final[tuple[dict[str, Any], ...]] = ({}, {}, {}, {"other_pool": "spare"})


def a_task(chance: Chance, now_ms: int) -> dict[str, Any]:
    """The data of a submission."""
    data: dict[str, Any] = {
        "tenant_id": chance.pick(TENANTS),
        "task_type": chance.pick(("plain", "plain", *TYPES)),
        "capabilities": chance.pick(CAPABILITIES),
        "pool": chance.pick(POOLS),
        "tier": chance.pick(_TIERS),
        "payload": {"n": chance.between(0, 10**9)},
        "estimate": {"runtime_seconds": chance.pick((0.5, 2.0, 5.0)), "tokens": chance.pick((0, 10, 60, 300))},
        "retry": {"max_attempts": chance.pick((1, 2, 3, 6)), "backoff_seconds": 0.5, "backoff_max_seconds": 4.0}
        | chance.pick(_ELSEWHERE),
    }
    kind = chance.pick((None, None, None, "soft", "hard"))
    if kind is not None:
        data |= {"deadline_kind": kind, "deadline_ms": now_ms + chance.pick((1, 20, 90, 400)) * 1_000}
    return data


def claimed(tenant_id: str, payload: dict[str, Any]) -> tuple[str, bytes, dict[str, Any]]:
    """A payload as a producer sends it that stored it first: key, object, and what travels."""
    body = msgspec.json.encode(payload)
    sha256 = hashlib.sha256(body).hexdigest()
    claim = ClaimCheck(key=claim_key(tenant_id, sha256), bytes=len(body), sha256=sha256)
    return claim.key, body, as_value(claim)


def envelope(name: str, data: dict[str, Any]) -> bytes:
    """The envelope of any command."""
    return msgspec.json.encode({"metadata": {"name": name, "version": 1}, "data": data})


def at_door(door: Door, source_id: str, name: str, said: bytes) -> str:
    """The body of the queue message that a submission becomes on its way through a door."""
    if door is Door.EVENTBRIDGE:
        return msgspec.json.encode({"id": source_id, "detail-type": name, "detail": msgspec.Raw(said)}).decode()
    if door is Door.SNS:
        notification = {"Type": "Notification", "MessageId": source_id, "Message": said.decode()}
        return msgspec.json.encode(notification).decode()
    return said.decode()


def task_id_of(data: dict[str, Any], door: Door, source_id: str) -> str:
    key = data.get("idempotency_key")
    tenant_id = str(data["tenant_id"])
    return unkeyed_task_id(tenant_id, door, source_id) if key is None else keyed_task_id(tenant_id, str(key))


def workflow_id_of(data: dict[str, Any], door: Door, source_id: str) -> str:
    key = data.get("idempotency_key")
    tenant_id = str(data["tenant_id"])
    if key is None:
        return unkeyed_workflow_id(tenant_id, door, source_id)
    return keyed_workflow_id(tenant_id, str(key))
