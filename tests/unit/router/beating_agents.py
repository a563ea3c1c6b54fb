"""Agents that send heartbeats, and what is to be seen of agents' health."""

from typing import Any

from pushlane.agent import TaskContext, agent
from pushlane.model.agent import Agent
from pushlane.model.events import FactName
from pushlane.model.task import DEFAULT_POOL
from pushlane.ports import Message, Table
from pushlane.router.registry import AgentProperties, register
from pushlane.state import keys
from pushlane.state.items import agent_of, to_json
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.deliveries import INTAKE, agent_queue
from tests.unit.router.by_hand import put
from tests.unit.router.faults import FailAt

BEATS = 30


def registered(
    dispatcher: InMemoryDispatcher, agent_id: str, heartbeat_seconds: float | None = BEATS, slots: int = 1
) -> None:
    said = AgentProperties(
        agent_id=agent_id,
        capabilities=("echo",),
        slots=slots,
        queue_url=agent_queue(agent_id),
        heartbeat_seconds=heartbeat_seconds,
    )
    register(said, dispatcher.store)


def beat(dispatcher: InMemoryDispatcher, agent_id: str) -> None:
    """A heartbeat through the door, as a long-lived agent sends it."""
    data = {"pool": DEFAULT_POOL, "agent_id": agent_id}
    command = {"metadata": {"name": "AgentHeartbeat", "version": 1}, "data": data}
    dispatcher.sender.send(INTAKE, [Message(to_json(command))])
    dispatcher.run_until_idle()


def agent_item(dispatcher: InMemoryDispatcher, agent_id: str) -> Agent:
    key = keys.agent_key(DEFAULT_POOL, agent_id)
    return agent_of(dispatcher.store.get([key])[key])


def status(dispatcher: InMemoryDispatcher, agent_id: str) -> str:
    return agent_item(dispatcher, agent_id).status.value


def told(dispatcher: InMemoryDispatcher) -> list[tuple[str, str | None]]:
    names = {FactName.AGENT_UNAVAILABLE: "down", FactName.AGENT_AVAILABLE: "up"}
    return [(names[f.metadata.name], f.data.agent_id) for f in dispatcher.facts if f.metadata.name in names]


def duties(dispatcher: InMemoryDispatcher) -> list[str]:
    items = dispatcher.store.query(Table.SCHEDULER, keys.delayed_pk(DEFAULT_POOL), limit=100)
    return [item.key.sk for item in items if item.key.sk.endswith("#heartbeat")]


def a_dispatcher(*agents: str, **more: Any) -> InMemoryDispatcher:
    """Agents whose heartbeats have come once."""
    dispatcher = InMemoryDispatcher(tenants=("atlas",), **more)
    for agent_id in agents:
        registered(dispatcher, agent_id)
        beat(dispatcher, agent_id)
    return dispatcher


def with_beats(dispatcher: InMemoryDispatcher, seconds: int, *agents: str) -> None:
    for _ in range(seconds // 10):
        dispatcher.advance(10)
        for agent_id in agents:
            beat(dispatcher, agent_id)


def missed(faults: FailAt) -> InMemoryDispatcher:
    """Twelve attempts on an agent that dies; each call from the moment it is missed on may fail."""
    dispatcher = InMemoryDispatcher(tenants=("atlas",), faults=faults)
    registered(dispatcher, "one", slots=12)
    beat(dispatcher, "one")
    for number in range(12):
        put(dispatcher, f"k{number}")
        dispatcher.take("one")
    dispatcher.register(None, agent_id="two", slots=12, capabilities=("echo",))
    dispatcher.clock.advance(BEATS * 1_000)
    faults.armed = True
    dispatcher.run_until_idle()
    faults.armed = False
    return dispatcher


@agent(task_types=("echo",))
def echo(_ctx: TaskContext, _payload: dict[str, Any]) -> dict[str, Any]:
    return {}


def broken(slots: int = 1) -> InMemoryDispatcher:
    """An agent that starts nothing of what is pushed to it."""
    dispatcher = InMemoryDispatcher(tenants=("atlas",))
    dispatcher.register(None, agent_id="one", slots=slots, capabilities=("echo",))
    return dispatcher
