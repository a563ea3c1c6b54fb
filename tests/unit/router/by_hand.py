"""A pool whose one agent the test plays itself, and what is to be seen of orders to yield."""

from typing import Any

import msgspec

from pushlane.model.task import Tier
from pushlane.ports import Attributes, Table
from pushlane.scheduling.snapshot import AccountView
from pushlane.state import keys
from pushlane.state.items import account_of
from pushlane.testing import AttemptByHand, InMemoryDispatcher

TENANTS = ("atlas", "borea", "cedar")


def a_dispatcher(slots: int = 1, **more: Any) -> InMemoryDispatcher:
    dispatcher = InMemoryDispatcher(tenants=TENANTS, **more)
    dispatcher.register(None, agent_id="one", slots=slots, capabilities=("echo",))
    return dispatcher


def put(dispatcher: InMemoryDispatcher, key: str, tenant_id: str = "atlas", **data: Any) -> str:
    """Submit and let the router do what it can."""
    task_id = dispatcher.submit(idempotency_key=key, tenant_id=tenant_id, **data)
    dispatcher.run_until_idle()
    return task_id


def running(dispatcher: InMemoryDispatcher, key: str, **data: Any) -> AttemptByHand:
    put(dispatcher, key, **data)
    return dispatcher.take("one")


def orders(dispatcher: InMemoryDispatcher) -> dict[str, str]:
    """Victim -> waiter, of all orders on live attempts."""
    live = [(item.key.sk, item.attributes.get("order_for")) for item in dispatcher.live_attempts()]
    return {victim: str(waiter) for victim, waiter in live if waiter is not None}


def marks(dispatcher: InMemoryDispatcher) -> dict[str, str]:
    """Waiter -> victim, as the waiting entries say."""
    entries = [item for item in dispatcher.store.items(Table.SCHEDULER) if item.key.pk.startswith("Q#")]
    return {
        msgspec.json.decode(str(item.attributes["entry"]))["task_id"]: str(item.attributes["victim"])
        for item in entries
        if "victim" in item.attributes
    }


def account(dispatcher: InMemoryDispatcher, tenant_id: str, tier: Tier = Tier.NORMAL) -> AccountView:
    key = keys.account_key("default", tier, tenant_id)
    found = dispatcher.store.get([key]).get(key)
    return account_of({} if found is None else found.attributes)


def stored(dispatcher: InMemoryDispatcher, task_id: str) -> Attributes:
    found = dispatcher.task(task_id)
    assert found is not None
    return found
