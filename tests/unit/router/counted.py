"""A dispatcher whose store calls and wake-ups are counted."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pushlane.agent import TaskContext, agent
from pushlane.model.events import WakeUp
from pushlane.ports import Message, Table, Write
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.deliveries import WAKEUPS

TENANTS = ("atlas", "borea", "cedar")


class Calls:
    """Counts calls of the store."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.operations = 0

    def before(self, name: str, operations: Sequence[Write]) -> None:
        self.seen[name] += 1
        self.operations += len(operations)

    def after(self, name: str, operations: Sequence[Write]) -> None:
        """Nothing happens."""

    def counted(self) -> dict[str, int]:
        seen, self.seen = dict(self.seen), Counter()
        return seen

    @property
    def writes(self) -> int:
        return self.seen["write"] + self.seen["transact"]


@agent(task_types=("echo",))
def echo(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    if ctx.attempt <= payload.get("failures", 0):
        raise RuntimeError("as ordered")
    return {}


class World:
    """A dispatcher that counts its store's calls and every wake-up sent."""

    def __init__(self, slots: int = 1, *, by_hand: bool = True, **policy: Any) -> None:
        self.calls = Calls()
        self.dispatcher = InMemoryDispatcher(tenants=TENANTS, faults=self.calls)
        self.wakeups: list[WakeUp] = []
        real_send = self.dispatcher.sender.send

        def send(url: str, messages: Sequence[Message]) -> list[int]:
            if url == WAKEUPS:
                self.wakeups += [msgspec.json.decode(message.body, type=WakeUp) for message in messages]
            return real_send(url, messages)

        self.dispatcher.sender.send = send  # type: ignore[method-assign, assignment]  # wake-ups are counted
        definition = None if by_hand else echo
        self.dispatcher.register(definition, agent_id="one", slots=slots, capabilities=("echo",))
        if policy:
            self.dispatcher.set_policy(**policy)

    def put(self, key: str, tenant_id: str = "atlas", **data: Any) -> str:
        task_id = self.dispatcher.submit(idempotency_key=key, tenant_id=tenant_id, **data)
        self.dispatcher.run_until_idle()
        return task_id

    def turn(self, step: Any, *, forgets: bool = True) -> dict[str, int]:
        """The store calls of one invocation of the router, warm, which `forgets` all that it knows of the pool."""
        self.dispatcher.publish()
        if forgets:
            self.dispatcher.router._ports.turn.remembered.forget("default")
        self.dispatcher.router._ports.tenants.active()
        self.dispatcher.router._ports.turn.policies.current()
        self.calls.counted()
        step()
        return self.calls.counted()

    def finish(self) -> dict[str, int]:
        """The same for the completion of the next attempt."""
        self.dispatcher.take("one").succeed()
        return self.turn(lambda: self.dispatcher._deliver("queue/results"))

    def arrive(self, *task_keys: str, tenant_id: str = "atlas", forgets: bool = True, **data: Any) -> dict[str, int]:
        """The same for a batch of arrivals."""
        for key in task_keys:
            self.dispatcher.submit(idempotency_key=key, tenant_id=tenant_id, **data)
        return self.turn(self.dispatcher._deliver_intake, forgets=forgets)


def hours_of_nothing(world: World) -> None:
    """No wake-up is under way or is sent; the sweep only reads, but for its samples."""
    dispatcher = world.dispatcher
    world.wakeups.clear()
    before = {table: dispatcher.store.items(table) for table in Table if table is not Table.MEASURES}
    world.calls.counted()
    for _ in range(3):
        dispatcher.advance(3_600)
        assert world.calls.counted() == {}
        dispatcher.sweep()
        assert set(world.calls.counted()) <= {"query", "get"}
    assert dispatcher.sender.queue_urls() == []
    assert world.wakeups == []
    assert {table: dispatcher.store.items(table) for table in before} == before
