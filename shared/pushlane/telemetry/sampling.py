"""Gauges of a pool, which are no changes of anything: looked at once a minute, by the sweep."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from pushlane.model.attempt import Attempt, Hold
from pushlane.model.errors import PushlaneError
from pushlane.model.policy import Policy, Rate, Resource
from pushlane.model.task import Tier
from pushlane.ports import Item, ItemStore, Put, Table
from pushlane.scheduling.decisions import Dispatch
from pushlane.scheduling.entry import RANKS, LaneRef
from pushlane.scheduling.rates import gcra_of
from pushlane.scheduling.snapshot import LaneState, PoolSnapshot
from pushlane.state import keys
from pushlane.state.items import VERSION, attempt_of, entry_of_item, lane_state_of, number, resource_of, text, texts
from pushlane.state.looking import look
from pushlane.state.measures import MINUTE_MS, expiry, lane_line, sample_key, samples_pk, slice_start
from pushlane.state.policies import current_policy
from pushlane.telemetry.report import LaneSample, PoolSample, ResourceSample

# Agents' slots, among the resources of a pool.
AGENT_SLOTS: Final = "agent-slots"
# Of one partition; a pool is meant for far fewer.
_ITEMS_MAX: Final = 10_000
_KEYS_MAX: Final = 100
# Lanes whose tasks are looked at for the longest wait, and lanes that a stored sample names.
_LOOKED_AT_MAX: Final = 200
_HEADS: Final = 25
_KEPT_LANES_MAX: Final = 100

_resources_decoder: Final = msgspec.json.Decoder(tuple[ResourceSample, ...])


class _Lane(Struct, frozen=True, kw_only=True):
    ref: LaneRef
    state: LaneState


class _Taken(Struct, frozen=True):
    """What attempts of this pool hold of slots, and those of them that were started."""

    held: int = 0
    started: int = 0


def sample_now(store: ItemStore, pool: str, now_ms: int, policy: Policy | None = None) -> PoolSample:
    """How a pool stands now; read piece by piece, so no snapshot of one instant. Without a policy the current one is
    read. Raises `StoreUnavailable`.

    `waiting_with_idle_capacity`: how many of its waiting tasks a turn would dispatch if one ran now.
    """
    policy = current_policy(store) if policy is None else policy
    looked = look(store, pool, policy, (), now_ms)
    own = [agent for agent in looked.snapshot.agents if agent.pool == pool]
    attempts = _attempts(store, pool)
    lanes = _lanes(store, looked.snapshot, now_ms)
    slots, used = sum(agent.slots for agent in own), sum(agent.used for agent in own)
    here = [one for one in attempts if one.reservation.agent_pool == pool]
    taken = _Taken(sum(one.reservation.slots for one in here), sum(one.reservation.slots for one in here if one.runner))
    of_agents = _slots(AGENT_SLOTS, slots, used, taken)
    return PoolSample(
        pool=pool,
        at_ms=now_ms,
        slots=slots,
        used=used,
        waiting=sum(lane.waiting for lane in lanes),
        lanes=lanes,
        resources=(of_agents, *_resources(store, policy, attempts, now_ms)),
        longest_wait_ms=max((lane.oldest_wait_ms for lane in lanes), default=0),
        waiting_with_idle_capacity=sum(isinstance(one, Dispatch) for one in looked.planned.decisions),
    )


def sample_pools(
    store: ItemStore, pools: Iterable[str], policy: Policy, now_ms: int, log: Callable[..., None]
) -> list[PoolSample]:
    """Sample every pool and keep the samples; one that fails does not keep the others from theirs."""
    made: list[PoolSample] = []
    for pool in pools:
        try:
            sample = sample_now(store, pool, now_ms, policy)
            store.write(_put(sample))
        except (PushlaneError, msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
            log("not-sampled", pool=pool, error=f"{type(error).__name__}: {error}"[:500])
        else:
            made.append(sample)
    return made


def samples(store: ItemStore, pool: str, *, from_ms: int, to_ms: int) -> list[PoolSample]:
    """The samples of a pool from `from_ms` until before `to_ms`, oldest first. Raises `StoreUnavailable`."""
    limit = max(1, (to_ms - from_ms) // MINUTE_MS + 2)
    found = store.query(Table.MEASURES, samples_pk(pool), limit=limit, start=slice_start(from_ms - MINUTE_MS + 1))
    return [one for item in found if from_ms <= (one := _stored(pool, item)).at_ms < to_ms]


def _put(sample: PoolSample) -> Put:
    lanes = sorted(sample.lanes, key=lambda lane: (-lane.oldest_wait_ms, -lane.waiting))[:_KEPT_LANES_MAX]
    return Put(
        sample_key(sample.pool, sample.at_ms),
        {
            "v": VERSION,
            "expires_at_s": expiry(sample.at_ms),
            "at_ms": sample.at_ms,
            "slots": sample.slots,
            "used": sample.used,
            "waiting": sample.waiting,
            "longest_wait_ms": sample.longest_wait_ms,
            "idle": sample.waiting_with_idle_capacity,
            "lanes": [lane_line(one.tier, one.tenant_id, one.waiting, one.oldest_wait_ms) for one in lanes],
            "resources": msgspec.json.encode(sample.resources).decode(),
        },
    )


def _stored(pool: str, item: Item) -> PoolSample:
    a = item.attributes
    return PoolSample(
        pool=pool,
        at_ms=number(a, "at_ms"),
        slots=number(a, "slots"),
        used=number(a, "used"),
        waiting=number(a, "waiting"),
        lanes=tuple(_lane_of(line) for line in texts(a, "lanes")),
        resources=_resources_decoder.decode(text(a, "resources")),
        longest_wait_ms=number(a, "longest_wait_ms"),
        waiting_with_idle_capacity=number(a, "idle"),
    )


def _lane_of(line: str) -> LaneSample:
    tier, tenant_id, waiting, oldest_wait_ms = line.split("#")
    return LaneSample(tier=tier, tenant_id=tenant_id, waiting=int(waiting), oldest_wait_ms=int(oldest_wait_ms))


def _lanes(store: ItemStore, snapshot: PoolSnapshot, now_ms: int) -> tuple[LaneSample, ...]:
    """Tasks that wait, by tier and tenant, the most urgent tier first."""
    shapes = [shape.shape for shape in snapshot.shapes if shape.waiting]
    found = [
        _Lane(ref=keys.lane_ref(shape, item.key), state=lane_state_of(item.attributes))
        for shape in shapes
        for item in store.query(Table.SCHEDULER, keys.lanes_pk(snapshot.pool, shape), limit=_ITEMS_MAX)
    ]
    waiting: Counter[tuple[Tier, str]] = Counter()
    oldest: dict[tuple[Tier, str], int] = {}
    lanes = sorted((one for one in found if one.state.depth > 0), key=lambda one: one.state.urgent_ms or 0)
    for place, one in enumerate(lanes):
        whose = (one.ref.tier, one.ref.tenant_id)
        waiting[whose] += one.state.depth
        wait_ms = _oldest_wait_ms(store, snapshot, one, now_ms) if place < _LOOKED_AT_MAX else 0
        oldest[whose] = max(wait_ms, oldest.get(whose, 0))
    return tuple(
        LaneSample(tier=tier.value, tenant_id=tenant_id, waiting=count, oldest_wait_ms=oldest[tier, tenant_id])
        for (tier, tenant_id), count in sorted(waiting.items(), key=lambda one: (RANKS[one[0][0]], one[0][1]))
    )


def _oldest_wait_ms(store: ItemStore, snapshot: PoolSnapshot, lane: _Lane, now_ms: int) -> int:
    """The longest wait in a lane: exact for those without a deadline, which lie in the order in which they came; of the
    others the first few are looked at.
    """
    pk, state = keys.queue_pk(snapshot.pool, lane.ref), lane.state
    heads = store.query(Table.SCHEDULER, pk, limit=1) if state.undated else []
    if state.depth > state.undated:
        heads += store.query(Table.SCHEDULER, pk, limit=_HEADS, start=keys.dated_from(0))
    return max((max(0, now_ms - entry_of_item(item).enqueued_at_ms) for item in heads), default=0)


def _attempts(store: ItemStore, pool: str) -> list[Attempt]:
    """Live attempts of the pool that hold something."""
    buckets = [keys.attempt_pk(pool, bucket) for bucket in range(keys.ATTEMPT_BUCKETS)]
    found = [item for pk in buckets for item in store.query(Table.ATTEMPTS, pk, limit=_ITEMS_MAX)]
    return [one for one in map(attempt_of, found) if not one.waited.holds_nothing]


def _resources(
    store: ItemStore, policy: Policy, attempts: Sequence[Attempt], now_ms: int
) -> tuple[ResourceSample, ...]:
    """Shared resources, of all pools: what is reserved of them, and of slots what attempts use that were started."""
    shards = {name: range(rule.shards if isinstance(rule, Rate) else 1) for name, rule in policy.resources.items()}
    wanted = {keys.resource_key(name, shard): name for name, some in shards.items() for shard in some}
    views: dict[str, list[tuple[int, int]]] = {}
    for start in range(0, len(wanted), _KEYS_MAX):
        part = list(wanted)[start : start + _KEYS_MAX]
        for key, item in store.get(part).items():
            view = resource_of(wanted[key], 0, item.attributes)
            views.setdefault(wanted[key], []).append((view.used, max(0, view.tat_us - now_ms * 1_000)))
    taken = {name: _taken(attempts, name) for name in policy.resources}
    return tuple(
        _resource(name, rule, views.get(name, []), taken[name]) for name, rule in sorted(policy.resources.items())
    )


def _resource(name: str, rule: Resource, shards: list[tuple[int, int]], taken: _Taken) -> ResourceSample:
    if not isinstance(rule, Rate):
        return _slots(name, rule.slots, sum(used for used, _ in shards), taken)
    rate = gcra_of(rule)
    drawn = sum(ahead_us * rate.units / rate.us_per_units for _, ahead_us in shards)
    return ResourceSample(resource=name, kind="rate", limit=rule.per_minute, reserved=drawn)


def _slots(name: str, limit: int, reserved: int, taken: _Taken) -> ResourceSample:
    """How much of it is used is known where nothing of it is held by other pools' attempts."""
    used = taken.started if taken.held == reserved else None
    return ResourceSample(resource=name, kind="slots", limit=limit, reserved=reserved, used=used)


def _taken(attempts: Sequence[Attempt], resource: str) -> _Taken:
    holds = [(hold.amount, one.runner) for one in attempts for hold in one.reservation.holds if _is_of(hold, resource)]
    return _Taken(sum(amount for amount, _ in holds), sum(amount for amount, runner in holds if runner))


def _is_of(hold: Hold, resource: str) -> bool:
    return hold.slots and hold.resource == resource
