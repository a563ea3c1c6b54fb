"""A policy as an operator writes it: JSON that says what differs from the defaults, refused by field when wrong."""

from typing import Any, Final

import msgspec

from pushlane.model.decoding import misfit
from pushlane.model.errors import PushlaneError
from pushlane.model.mode import Mode
from pushlane.model.policy import DEFAULT_TIERS, Policy, PoolPolicy, Preemption, Rate, TenantPolicy
from pushlane.model.task import Tier


class InvalidPolicy(PushlaneError):
    """The policy is refused; the message names the field. The policy before it stays."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


def parse_policy(document: bytes) -> Policy:
    """The policy of a JSON document; raises `InvalidPolicy` for what does not parse or does not fit together."""
    said = _object_of(document)
    whole = _with_defaults(said)
    try:
        policy = msgspec.convert(whole, Policy)
    except msgspec.ValidationError as error:
        wrong = misfit(error, whole, Policy)
        raise InvalidPolicy(wrong.field, wrong.reason) from error
    check_policy(policy)
    return policy


def with_every_default(document: bytes) -> Policy:
    """The policy of a document with all tiers named, as the scheduler goes by it; raises `InvalidPolicy`."""
    policy = parse_policy(document)
    return msgspec.structs.replace(policy, tiers={tier: policy.tier(tier) for tier in Tier})


def document_of(document: bytes) -> str:
    """The document as it is kept: what was said and no more, without the revision that it was made from."""
    return msgspec.json.encode({k: v for k, v in _object_of(document).items() if k != "revision"}).decode()


def _object_of(document: bytes) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidPolicy("$", f"not JSON: {error}") from error
    if not isinstance(said, dict):
        raise InvalidPolicy("$", "not a JSON object")
    return said


def _with_defaults(said: dict[str, Any]) -> dict[str, Any]:
    """Named tiers over the tier's own defaults, named tenants over the document's `default_tenant`."""
    whole = dict(said)
    tiers, tenants = said.get("tiers"), said.get("tenants")
    if isinstance(tiers, dict):
        if strange := [name for name in tiers if name not in _TIERS_SAID]:
            raise InvalidPolicy("$.tiers", f"{strange[0][:64]!r} is no tier: there are {', '.join(_TIERS_SAID)}")
        whole["tiers"] = {name: _over(_TIERS_SAID.get(name), one) for name, one in tiers.items()}
    if isinstance(tenants, dict):
        whole["tenants"] = {name: _over(said.get("default_tenant"), one) for name, one in tenants.items()}
    return whole


def _over(defaults: object, said: object) -> object:
    return {**defaults, **said} if isinstance(defaults, dict) and isinstance(said, dict) else said


_TIERS_SAID: Final = {tier.value: msgspec.to_builtins(one) for tier, one in DEFAULT_TIERS.items()}


def check_policy(policy: Policy) -> None:
    """What no single field can say of itself; raises `InvalidPolicy`."""
    _check_shares(policy)
    _check_preemption(policy.preemption)
    _check_tenant("$.default_tenant", policy.default_tenant)
    for name, tenant in policy.tenants.items():
        _check_tenant(f"$.tenants.{name}", tenant)
    for name, resource in policy.resources.items():
        if isinstance(resource, Rate):
            _check_rate(f"$.resources.{name}", resource)
    for name, kind in policy.task_types.items():
        _check_needs(f"$.task_types.{name}.resources", kind.resources, policy)
    for name, pool in policy.pools.items():
        _check_pool(f"$.pools.{name}", name, pool)


def _check_shares(policy: Policy) -> None:
    total = sum(policy.tier(tier).min_share for tier in Tier)
    if total > 1 + 1e-9:
        each = ", ".join(f"{tier} {policy.tier(tier).min_share:g}" for tier in Tier)
        raise InvalidPolicy("$.tiers", f"min_share adds up to {total:g} ({each}), and there is only 1 to give")


def _check_preemption(preemption: Preemption) -> None:
    ranks = list(Tier)
    for victim in preemption.victims:
        for waiter in preemption.waiters:
            if ranks.index(victim) <= ranks.index(waiter):
                raise InvalidPolicy("$.preemption.victims", f"{victim} is not below the waiter {waiter}")


def _check_tenant(path: str, tenant: TenantPolicy) -> None:
    for window, budget in (("tokens_per_day", tenant.tokens_per_day), ("tokens_per_month", tenant.tokens_per_month)):
        if budget.soft is not None and budget.hard is not None and budget.soft > budget.hard:
            raise InvalidPolicy(f"{path}.{window}.soft", "is above hard, so it would never be said")
    if tenant.task_burst is not None and tenant.tasks_per_minute is None:
        raise InvalidPolicy(f"{path}.task_burst", "means nothing without tasks_per_minute")
    if tenant.mode is Mode.PERCENT and tenant.push_percent is None:
        raise InvalidPolicy(f"{path}.push_percent", "is missing: mode percent needs it, a number from 0 to 100")
    if tenant.mode is not Mode.PERCENT and tenant.push_percent is not None:
        raise InvalidPolicy(f"{path}.push_percent", "means nothing without mode percent")


def _check_rate(path: str, rate: Rate) -> None:
    for field, amount in (("per_minute", rate.per_minute), ("burst", rate.burst)):
        if amount is not None and amount < rate.shards:
            raise InvalidPolicy(f"{path}.{field}", f"{amount} over {rate.shards} shards leaves each less than one")


def _check_needs(path: str, resources: tuple[str, ...], policy: Policy) -> None:
    for place, resource in enumerate(resources):
        if resource not in policy.resources:
            raise InvalidPolicy(f"{path}[{place}]", f"{resource!r} is not in $.resources: define it there")
        if resource in resources[:place]:
            raise InvalidPolicy(f"{path}[{place}]", f"{resource!r} is named twice")


def _check_pool(path: str, name: str, pool: PoolPolicy) -> None:
    if pool.pressure_off >= pool.pressure_on:
        raise InvalidPolicy(f"{path}.pressure_off", f"must be below pressure_on ({pool.pressure_on:g}), or it flutters")
    if pool.overflow_pool == name:
        raise InvalidPolicy(f"{path}.overflow_pool", "names the pool itself")
