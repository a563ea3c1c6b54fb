"""A pool whose one agent the test plays itself, and what is to be seen of orders to yield."""

from typing import Any

import msgspec

from pushlane.model.events import Fact, FactName
from pushlane.model.task import Tier
from pushlane.ports import Attributes, Message, Table
from pushlane.scheduling.snapshot import AccountView
from pushlane.state import keys
from pushlane.state.items import account_of
from pushlane.testing import AttemptByHand, InMemoryDispatcher
from pushlane.testing.deliveries import INTAKE

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


def send(dispatcher: InMemoryDispatcher, command: str, task_id: str, /, tenant_id: str = "atlas", **data: Any) -> None:
    """One command to a task, into the queue."""
    envelope = {
        "metadata": {"name": command, "version": 1},
        "data": {"tenant_id": tenant_id, "task_id": task_id, **data},
    }
    kept = {"id": f"command-{dispatcher._next()}", "envelope": envelope}
    dispatcher.sender.send(INTAKE, [Message(msgspec.json.encode(kept).decode())])


def say(dispatcher: InMemoryDispatcher, command: str, task_id: str, /, **data: Any) -> None:
    """Send a command and let the router do what it can."""
    send(dispatcher, command, task_id, **data)
    dispatcher.run_until_idle()


_ENDS = (
    FactName.TASK_SUCCEEDED,
    FactName.TASK_FAILED,
    FactName.TASK_CANCELLED,
    FactName.TASK_EXPIRED,
)


def ends(dispatcher: InMemoryDispatcher, task_id: str) -> list[Fact]:
    """Every end of the task that was published; there may be one."""
    return [fact for name in _ENDS for fact in dispatcher.facts_of(name, task_id)]


def assert_over(
    dispatcher: InMemoryDispatcher, task_id: str, status: str, pools: tuple[str, ...] = ("default",)
) -> None:
    """It has ended once, as `status`, and of it nothing is held and nothing waits anywhere."""
    assert dispatcher.status(task_id) == status
    assert [fact.metadata.name.value for fact in ends(dispatcher, task_id)] == [f"Task{status.capitalize()}"]
    for item in dispatcher.store.items(Table.SCHEDULER):
        assert task_id not in item.key.sk, item
    assert task_id not in [item.key.sk for pool in pools for item in dispatcher.live_attempts(pool)]
    assert not {"due_ms", "waits_at", "awaits"} & stored(dispatcher, task_id).keys()


def assert_idle(dispatcher: InMemoryDispatcher, agent_id: str = "one") -> None:
    """No slot is taken and no task is waiting."""
    assert (dispatcher.used(agent_id), dispatcher.waiting(), dispatcher.live_attempts()) == (0, 0, [])


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
