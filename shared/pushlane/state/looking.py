"""A look at a pool: what a turn would decide now, without committing any of it."""

from collections.abc import Sequence

from msgspec import Struct

from pushlane.model.policy import Policy
from pushlane.ports import ItemStore
from pushlane.scheduling.decisions import Plan
from pushlane.scheduling.plan import plan
from pushlane.scheduling.snapshot import Input, PoolSnapshot
from pushlane.state.borrowing import load_borrowed
from pushlane.state.heads import load_heads
from pushlane.state.loading import load_pool


class Look(Struct, frozen=True, kw_only=True):
    """The snapshot that was read, and the plan that was made of it."""

    snapshot: PoolSnapshot
    planned: Plan


def look(store: ItemStore, pool: str, policy: Policy, inputs: Sequence[Input], now_ms: int) -> Look:
    """Read and plan as a turn with these inputs would; nothing is written. Raises `StoreUnavailable`."""
    snapshot = load_pool(store, pool, policy).snapshot
    snapshot = load_borrowed(store, snapshot, inputs, now_ms)
    snapshot = load_heads(store, snapshot, inputs, now_ms)
    return Look(snapshot=snapshot, planned=plan(snapshot, inputs, now_ms))
