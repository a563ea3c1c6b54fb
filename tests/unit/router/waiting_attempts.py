"""Attempts that give everything back, and a pool in which every kind of counter is in play."""

from typing import Any

from pushlane.ports import Table
from pushlane.state import keys
from pushlane.testing import AttemptByHand, InMemoryDispatcher
from tests.unit.router.by_hand import a_dispatcher as a_plain_dispatcher
from tests.unit.router.by_hand import put, running

_RESULTS = "queue/results"
SLOTS = {"kind": "slots", "slots": 9}


def a_dispatcher(slots: int = 1, **more: Any) -> InMemoryDispatcher:
    """The tenant `atlas` is limited, and `echo` draws on a resource of slots: so every kind of counter is in play."""
    dispatcher = a_plain_dispatcher(slots, **more)
    dispatcher.set_policy(
        tenants={"atlas": {"in_flight_max": 9}},
        resources={"desk": SLOTS},
        task_types={"echo": {"resources": ["desk"]}},
    )
    return dispatcher


def no_limits(dispatcher: InMemoryDispatcher) -> None:
    """The tenant is not limited any more: what is reserved from now on is not counted for it."""
    dispatcher.set_policy(task_types={"echo": {"resources": ["desk"]}}, resources={"desk": SLOTS})


def counters(dispatcher: InMemoryDispatcher) -> tuple[int, int, int]:
    """Slots of the agent, attempts of the tenant, slots of the resource."""
    tenant, desk = keys.tenant_limits_key("atlas"), keys.resource_key("desk", 0)
    found = dispatcher.store.get([tenant, desk])
    in_flight = int(str(found[tenant].attributes.get("in_flight", 0))) if tenant in found else 0
    used = int(str(found[desk].attributes.get("used", 0))) if desk in found else 0
    return dispatcher.used("one"), in_flight, used


def entries(dispatcher: InMemoryDispatcher) -> list[str]:
    return [item.key.sk for item in dispatcher.store.items(Table.SCHEDULER) if item.key.pk.startswith("Q#")]


def waiting(dispatcher: InMemoryDispatcher, key: str = "first", **more: Any) -> AttemptByHand:
    """An attempt that has given everything back."""
    put(dispatcher, key, **more)
    attempt = dispatcher.take("one", lease_ms=60_000)
    attempt.begin_wait()
    dispatcher.run_until_idle()
    return attempt


def asking(dispatcher: InMemoryDispatcher) -> tuple[AttemptByHand, AttemptByHand]:
    """One that asks for it again, and the one that has its slot."""
    first = waiting(dispatcher)
    second = running(dispatcher, "second")
    assert first.end_wait()
    dispatcher.run_until_idle()
    return first, second


def settled(dispatcher: InMemoryDispatcher) -> None:
    """Nothing is held, nothing waits, and no counter was repaired on the way."""
    dispatcher.run_until_idle()
    swept = dispatcher.sweep()
    assert swept.repaired == 0
    assert counters(dispatcher) == (0, 0, 0)
    assert (dispatcher.live_attempts(), entries(dispatcher), dispatcher.waiting()) == ([], [], 0)


def day_tokens(dispatcher: InMemoryDispatcher) -> int:
    key = keys.tenant_limits_key("atlas")
    return int(str(dispatcher.store.get([key])[key].attributes["day_tokens"]))
