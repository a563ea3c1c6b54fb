"""Counters recomputed from what they count: the live reservations of all pools.

Agents (lent ones too), limited tenants and resources of the kind `slots` count what is reserved of them. Rates are not
repaired: what was drawn of them is over by itself.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from pushlane.model.attempt import Attempt, Reservation
from pushlane.model.events import FactName
from pushlane.model.ids import digest
from pushlane.model.policy import Policy, SlotsOf
from pushlane.ports import (
    AnyOf,
    Attributes,
    Condition,
    Equals,
    Item,
    ItemStore,
    Key,
    Missing,
    Scalar,
    Table,
    TransactionCancelled,
    Update,
)
from pushlane.router.turn import TurnPorts
from pushlane.state import keys
from pushlane.state.facts import fact_put
from pushlane.state.items import attempt_of, number, text
from pushlane.state.loading import POOL_ITEMS_MAX

# Where a limit holds for every tenant there may be many: so many a sweep, the next ones a minute later.
TENANTS_A_SWEEP: Final = 1_000
_TENANTS_MAX: Final = 10_000
_ATTEMPTS_MAX: Final = 100_000
_KEYS_MAX: Final = 100
_SWEEP_MS: Final = 60_000

_reservation_decoder = msgspec.json.Decoder(Reservation)


class _Counter(Struct, frozen=True, kw_only=True):
    """One stored counter as it was read. `said`: what a fact about it says beside the reason."""

    key: Key
    attribute: str
    label: str
    value: int
    revision: int | None
    said: dict[str, Scalar]


class Seen:
    """What is read on the way and is of use to others: all agents, those of them that run something now, the attempts
    that hold nothing, and the shapes by pool.
    """

    def __init__(self) -> None:
        self.agents: list[Item] = []
        self.shapes: dict[str, list[Item]] = {}
        self.running: set[tuple[str, str]] = set()
        self.idle: list[Attempt] = []


def repair(ports: TurnPorts, pools: Sequence[str], log: Callable[..., None], seen: Seen | None = None) -> int:
    """Set each counter to its live reservations where they differ; returns how many were wrong. Fills in `seen`.

    The counters are read before the attempts, and a repair holds only while the counter's revision has not moved since:
    every reservation and release moves it, so a count made beside a running turn is never written. Where an attempt
    cannot be read the true count may be higher, so counters are only raised then.
    """
    seen = seen or Seen()
    counters = list(_counters(ports, pools, seen))
    live, whole = _live(ports.store, pools, log, seen)
    wrong = [(one, live[one.key, one.attribute]) for one in counters if one.value != live[one.key, one.attribute]]
    return sum(_set(ports, counter, count) for counter, count in wrong if whole or count > counter.value)


def _counters(ports: TurnPorts, pools: Sequence[str], seen: Seen) -> Iterator[_Counter]:
    policy = ports.policies.current()
    for pool in pools:
        items = ports.store.query(Table.SCHEDULER, keys.pool_pk(pool), limit=POOL_ITEMS_MAX, start=keys.AGENT_PREFIX)
        seen.shapes[pool] = [item for item in items if item.key.sk.startswith(keys.SHAPE_PREFIX)]
        for item in items:
            if item.key.sk.startswith(keys.AGENT_PREFIX):
                agent_id = item.key.sk.removeprefix(keys.AGENT_PREFIX)
                said: dict[str, Scalar] = {"pool": pool, "agent_id": agent_id}
                seen.agents.append(item)
                yield _counter(item.key, "used", "used slots", item.attributes, said)
    tenants = {keys.tenant_limits_key(tenant_id): tenant_id for tenant_id in _limited(ports, policy)}
    for key, attributes in _get(ports.store, list(tenants)):
        yield _counter(key, "in_flight", "attempts in flight", attributes, {"tenant_id": tenants[key]})
    slots = {keys.resource_key(n, 0): n for n, rule in policy.resources.items() if isinstance(rule, SlotsOf)}
    for key, attributes in _get(ports.store, list(slots)):
        yield _counter(key, "used", "used slots", attributes, {"resource": slots[key]})


def _counter(key: Key, attribute: str, label: str, stored: Attributes, said: dict[str, Scalar]) -> _Counter:
    return _Counter(
        key=key,
        attribute=attribute,
        label=label,
        value=number(stored, attribute) if attribute in stored else 0,
        revision=number(stored, "revision") if "revision" in stored else None,
        said=said,
    )


def _limited(ports: TurnPorts, policy: Policy) -> list[str]:
    """The limited tenants whose turn it is, in the order of their ids."""
    names = set(policy.tenants)
    if policy.default_tenant.limited:
        names |= {item.key.sk for item in ports.store.query(Table.CONFIG, keys.TENANTS, limit=_TENANTS_MAX)}
    limited = sorted(name for name in names if policy.tenant(name).limited)
    pages = -(-len(limited) // TENANTS_A_SWEEP)
    page = ports.clock.now_ms() // _SWEEP_MS % pages if pages else 0
    return limited[page * TENANTS_A_SWEEP : (page + 1) * TENANTS_A_SWEEP]


def _get(store: ItemStore, wanted: Sequence[Key]) -> Iterator[tuple[Key, Attributes]]:
    for start in range(0, len(wanted), _KEYS_MAX):
        part = wanted[start : start + _KEYS_MAX]
        found = store.get(part)
        yield from ((key, found[key].attributes if key in found else {}) for key in part)


def _live(
    store: ItemStore, pools: Sequence[str], log: Callable[..., None], seen: Seen
) -> tuple[Counter[tuple[Key, str]], bool]:
    """What the live reservations hold of each counter, and whether all of them could be read."""
    live: Counter[tuple[Key, str]] = Counter()
    whole = True
    for pk in (keys.attempt_pk(pool, bucket) for pool in pools for bucket in range(keys.ATTEMPT_BUCKETS)):
        items = store.query(Table.ATTEMPTS, pk, limit=_ATTEMPTS_MAX)
        whole &= len(items) < _ATTEMPTS_MAX
        for item in items:
            try:
                held = _reservation_decoder.decode(text(item.attributes, "reservation"))
                live.update(_held(held))
                if not held.slots:
                    seen.idle.append(attempt_of(item))
                elif "runner" in item.attributes:
                    seen.running.add((held.agent_pool, held.agent_id))
            except (msgspec.DecodeError, KeyError, TypeError) as error:
                log("attempt-unreadable", task_id=item.key.sk, error=f"{type(error).__name__}: {error}")
                whole = False
    return live, whole


def _held(held: Reservation) -> Counter[tuple[Key, str]]:
    counted: Counter[tuple[Key, str]] = Counter()
    if held.slots:
        counted[keys.agent_key(held.agent_pool, held.agent_id), "used"] += held.slots
    if held.counted:
        counted[keys.tenant_limits_key(held.tenant_id), "in_flight"] += 1
    for hold in held.holds:
        if hold.slots:
            counted[keys.resource_key(hold.resource, 0), "used"] += hold.amount
    return counted


def _set(ports: TurnPorts, counter: _Counter, live: int) -> int:
    unmoved: Condition = Missing("revision") if counter.revision is None else Equals("revision", counter.revision)
    as_read: Condition = AnyOf((Missing(counter.attribute), Equals(counter.attribute, counter.value)))
    update = Update(counter.key, {counter.attribute: live}, {"revision": 1}, (), (unmoved, as_read))
    fact_id = digest("repaired", counter.key.pk, counter.key.sk, str(counter.revision))
    reason = f"{counter.label} {counter.value} -> {live}: the live reservations"
    fact = fact_put(FactName.CAPACITY_REPAIRED, fact_id, ports.clock.now_ms(), {**counter.said, "reason": reason})
    try:
        ports.store.transact([update, fact], ports.new_token())
    except TransactionCancelled:
        return 0  # a turn was faster; the next sweep looks again
    return 1
