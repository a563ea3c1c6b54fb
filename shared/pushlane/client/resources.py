"""Shared resources as an operator sees them: what the policy allows, and what is used now."""

from typing import Final

from msgspec import Struct

from pushlane.model.policy import Policy, Rate, Resource, SlotsOf
from pushlane.ports import Item, ItemStore, Key
from pushlane.scheduling.rates import gcra_of
from pushlane.scheduling.snapshot import ResourceView
from pushlane.state.items import resource_of
from pushlane.state.keys import resource_key

_KEYS_MAX: Final = 100


class ResourceState(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One resource over all its shards. `limit`: a minute, or at a time. `used`: slots in use, or what is drawn of a
    rate's burst and not earned back yet. `full_at_ms`: when all of a rate's burst is there again. `paused_until_ms`: a
    provider refused calls. Times are Unix milliseconds; what does not apply is left out.
    """

    name: str
    kind: str
    limit: int
    used: int
    burst: int | None = None
    shards: int = 1
    full_at_ms: int | None = None
    paused_until_ms: int | None = None


def resources(store: ItemStore, policy: Policy, now_ms: int) -> tuple[ResourceState, ...]:
    """Every resource that the policy names, in order of name."""
    wanted = {(name, shard): resource_key(name, shard) for name, one in policy.resources.items() for shard in _of(one)}
    keys = list(wanted.values())
    found: dict[Key, Item] = {}
    for start in range(0, len(keys), _KEYS_MAX):
        found |= store.get(keys[start : start + _KEYS_MAX])
    views = {
        ref: resource_of(*ref, found[key].attributes) if key in found else ResourceView(name=ref[0], shard=ref[1])
        for ref, key in wanted.items()
    }
    return tuple(
        _state(name, one, [views[name, shard] for shard in _of(one)], now_ms)
        for name, one in sorted(policy.resources.items())
    )


def _of(resource: Resource) -> range:
    return range(resource.shards if isinstance(resource, Rate) else 1)


def _state(name: str, rule: Resource, shards: list[ResourceView], now_ms: int) -> ResourceState:
    paused_ms = max(shard.paused_until_ms for shard in shards)
    paused_until_ms = paused_ms if paused_ms > now_ms else None
    if isinstance(rule, SlotsOf):
        used = shards[0].used
        return ResourceState(name=name, kind="slots", limit=rule.slots, used=used, paused_until_ms=paused_until_ms)
    rate = gcra_of(rule)
    ahead_us = [max(0, shard.tat_us - now_ms * 1_000) for shard in shards]
    return ResourceState(
        name=name,
        kind=rule.unit.value,
        limit=rule.per_minute,
        used=sum(us * rate.units // rate.us_per_units for us in ahead_us),
        burst=rule.burst or rule.per_minute,
        shards=rule.shards,
        full_at_ms=now_ms + -(-max(ahead_us) // 1_000) if any(ahead_us) else None,
        paused_until_ms=paused_until_ms,
    )
