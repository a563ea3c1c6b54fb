"""The registry of agents: what CloudFormation's custom resource asks for, and the writes that do it."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from pushlane.model.agent import AgentStatus
from pushlane.model.errors import InvalidEvent
from pushlane.model.events import Capabilities
from pushlane.model.ids import Identifier
from pushlane.model.task import DEFAULT_POOL
from pushlane.ports import AtMost, ConditionFailed, Delete, Equals, ItemStore, Key, Present, Update
from pushlane.state.keys import agent_key, pool_registration_key

_VERSION: Final = 1
_SLOTS_MAX: Final = 1_000  # the maximum concurrency of an event source mapping

Wait = Callable[[], bool]


class RequestType(StrEnum):
    """What CloudFormation wants done with the resource."""

    CREATE = "Create"
    UPDATE = "Update"
    DELETE = "Delete"


class AgentProperties(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The properties of `Custom::PushlaneAgent`. CloudFormation passes every number as text."""

    agent_id: Identifier
    capabilities: Capabilities
    slots: Annotated[int, Meta(ge=1, le=_SLOTS_MAX)]
    queue_url: Annotated[str, Meta(min_length=1, max_length=1024)]
    pool: Identifier = DEFAULT_POOL


class Request(Struct, frozen=True, kw_only=True):
    """One request for one agent's entry."""

    type: RequestType
    agent: AgentProperties

    @property
    def physical_id(self) -> str:
        """The resource's identity: in another pool or by another name it is another entry."""
        return f"{self.agent.pool}/{self.agent.agent_id}"


def request_of(event: Mapping[str, Any]) -> Request:
    """The request in a CloudFormation event; raises `InvalidEvent` that names the property."""
    try:
        agent = msgspec.convert(event["ResourceProperties"], AgentProperties, strict=False)
        return Request(type=RequestType(event["RequestType"]), agent=agent)
    except (KeyError, ValueError) as error:  # msgspec's ValidationError is a ValueError and names the path
        raise InvalidEvent("$.ResourceProperties", str(error)) from error


def apply(request: Request, store: ItemStore, wait: Wait) -> str:
    """Do what the request asks and say in a sentence what became of the entry.

    `wait` pauses between two looks at a draining agent and answers False when the time is up.
    """
    if request.type is RequestType.DELETE:
        return drain(agent_key(request.agent.pool, request.agent.agent_id), store, wait)
    return register(request.agent, store)


def register(agent: AgentProperties, store: ItemStore) -> str:
    """Write the agent's entry. What it uses at the moment stays untouched: only reservations move that."""
    store.write(Update(pool_registration_key(agent.pool), set={"v": _VERSION}))
    store.write(
        Update(
            agent_key(agent.pool, agent.agent_id),
            set={
                "v": _VERSION,
                "agent_id": agent.agent_id,
                "pool": agent.pool,
                "capabilities": sorted(set(agent.capabilities)),
                "slots": agent.slots,
                "queue_url": agent.queue_url,
                "status": AgentStatus.ACTIVE.value,
            },
            add={"used": 0, "revision": 0},
        )
    )
    return "registered"


def drain(key: Key, store: ItemStore, wait: Wait) -> str:
    """Give the agent nothing new, wait until it has nothing left, then remove its entry.

    An entry that still holds reservations when the time is up stays as DRAINING: removing it would leave completions
    with nothing to release.
    """
    draining = AgentStatus.DRAINING.value
    try:
        store.write(Update(key, set={"status": draining}, conditions=(Present(),)))
    except ConditionFailed:
        return "was not registered"
    while True:
        try:
            store.write(Delete(key, conditions=(Equals("status", draining), AtMost("used", 0))))
            return "removed"
        except ConditionFailed as failed:
            if failed.item is None:
                return "removed"
            if failed.item.attributes.get("status") != draining:
                return "registered again meanwhile"
            if not wait():
                return f"left draining: {failed.item.attributes.get('used')} attempts are still running"
