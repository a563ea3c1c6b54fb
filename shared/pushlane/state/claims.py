"""Read who may ask a running attempt to yield, and whom: only while urgent work waits without a slot."""

from collections.abc import Sequence
from typing import Final

import msgspec

from pushlane.model.attempt import Order
from pushlane.model.task import Tier
from pushlane.ports import Item, ItemStore, Table
from pushlane.scheduling.entry import Entry
from pushlane.scheduling.preemption import asks_at_ms
from pushlane.scheduling.snapshot import Input, LaneView, PoolSnapshot, Running, ShapeView
from pushlane.state import keys
from pushlane.state.items import attempt_of
from pushlane.state.loading import freed_slots, waiting_shapes
from pushlane.state.stored_lanes import StoredLanes

_RUNNING_MAX: Final = 25


def load_claim(store: ItemStore, snapshot: PoolSnapshot, inputs: Sequence[Input], now_ms: int) -> PoolSnapshot:
    """The snapshot with the tasks that may ask others to yield, if any wait without a slot; and with whom they may ask,
    once one of them asks.
    """
    rules = snapshot.policy.preemption
    runnable = {shape.shape for shape, _ in waiting_shapes(snapshot, freed_slots(inputs))}
    blocked = [
        (shape, tier)
        for shape in snapshot.shapes
        for tier in rules.waiters
        if rules.enabled and shape.lanes.get(tier) and shape.shape not in runnable
    ]
    lanes = StoredLanes(store, snapshot.pool, snapshot.policy, now_ms)
    views = [view for shape, tier in blocked for view in _views(lanes, snapshot, shape, tier)]
    claimants = _without_order(store, snapshot.pool, [entry for view in views for entry in view.on_time])
    running: tuple[Running, ...] = ()
    if any(asks_at_ms(entry, snapshot) <= now_ms for entry in claimants):
        snapshot = lanes.limits(snapshot, (), [view.ref for view in views])
        running = _running(store, snapshot)
    return msgspec.structs.replace(snapshot, claimants=tuple(claimants), running=running)


def _views(lanes: StoredLanes, snapshot: PoolSnapshot, shape: ShapeView, tier: Tier) -> list[LaneView]:
    limit = snapshot.policy.preemption.orders_max
    listed = lanes.listed(shape.shape, keys.BY_URGENCY, tier, limit)
    return [lanes.on_time(ref, state, limit) for ref, state in listed.items() if ref.tier is tier]


def _without_order(store: ItemStore, pool: str, waiters: Sequence[Entry]) -> list[Entry]:
    """Those for which no attempt has an order. One whose victim ended, and whose slot another took, asks anew."""
    victims = {one.task_id: keys.attempt_key(pool, one.victim) for one in waiters if one.victim is not None}
    found = store.get(list(victims.values())) if victims else {}
    outstanding = {
        waiter for waiter, key in victims.items() if key in found and attempt_of(found[key]).order_for == waiter
    }
    return [one for one in waiters if one.task_id not in outstanding]


def _running(store: ItemStore, snapshot: PoolSnapshot) -> tuple[Running, ...]:
    """Some live attempts of the pool: a victim is any that fits, started or about to."""
    found: list[Running] = []
    for bucket in range(keys.ATTEMPT_BUCKETS):
        items = store.query(Table.ATTEMPTS, keys.attempt_pk(snapshot.pool, bucket), limit=_RUNNING_MAX)
        found += [one for item in items if (one := _running_of(item, snapshot)) is not None]
    return tuple(found)


def _running_of(item: Item, snapshot: PoolSnapshot) -> Running | None:
    attempt = attempt_of(item)
    if attempt.outcome is not None or attempt.order is Order.CANCEL or attempt.waited.holds_nothing:
        return None
    return Running(
        task_id=attempt.task_id,
        epoch=attempt.epoch,
        reservation=attempt.reservation,
        preemptible=snapshot.policy.task_type(attempt.task_type).preemptible,
        order_for=attempt.order_for,
        waited=attempt.waited,
    )
