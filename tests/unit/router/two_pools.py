"""A pool and its overflow pool; the test plays their agents itself."""

from typing import Any

from pushlane.ports import Table
from pushlane.state import keys
from pushlane.testing import AttemptByHand, InMemoryDispatcher

HOME, OTHER = "home", "other"
TENANTS = ("atlas", "borea", "cedar")
LENT = {HOME: {"overflow_pool": OTHER}}


def a_dispatcher(home: int = 1, other: int = 1, **more: Any) -> InMemoryDispatcher:
    dispatcher = InMemoryDispatcher(tenants=TENANTS, **more)
    for pool, slots in ((HOME, home), (OTHER, other)):
        if slots:
            dispatcher.register(None, agent_id="one", slots=slots, capabilities=("echo",), pool=pool)
    dispatcher.set_policy(pools=LENT)
    return dispatcher


def put(dispatcher: InMemoryDispatcher, key: str, pool: str = HOME, tenant_id: str = "atlas", **data: Any) -> str:
    task_id = dispatcher.submit(idempotency_key=key, tenant_id=tenant_id, pool=pool, **data)
    dispatcher.run_until_idle()
    return task_id


def taken(dispatcher: InMemoryDispatcher, pool: str) -> AttemptByHand:
    return dispatcher.take("one", pool)


def marked(dispatcher: InMemoryDispatcher, pool: str = OTHER) -> list[str]:
    items = dispatcher.store.query(Table.SCHEDULER, keys.pool_pk(pool), limit=100, start=keys.WAITS_PREFIX)
    return [item.key.sk for item in items if item.key.sk.startswith(keys.WAITS_PREFIX)]


def used(dispatcher: InMemoryDispatcher) -> tuple[int, int]:
    return dispatcher.used("one", HOME), dispatcher.used("one", OTHER)
