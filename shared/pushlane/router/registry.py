"""The registry of agents: what CloudFormation's custom resource asks for, and the writes that do it."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from pushlane.model.agent import AgentStatus
from pushlane.model.endpoint import TARGET_CHARACTERS_MAX, Endpoint, EndpointKind, require_endpoint
from pushlane.model.errors import InvalidEvent
from pushlane.model.events import Capabilities
from pushlane.model.ids import Identifier
from pushlane.model.task import DEFAULT_POOL
from pushlane.ports import AtLeast, AtMost, ConditionFailed, Delete, Equals, ItemStore, Key, Present, Scalar, Update
from pushlane.state.items import endpoint_attributes
from pushlane.state.keys import agent_key, pool_registration_key

_VERSION: Final = 1
SLOTS_MAX: Final = 1_000  # the maximum concurrency of an event source mapping

_HEARTBEAT_SECONDS_MAX: Final = 900
# What the agent's entry says of its health. A new registration is a new beginning.
_OF_STARTS: Final = ("unstarted", "cools_until_ms")
_OF_HEARTBEATS: Final = ("heartbeat_ms", "heartbeat_at_ms", "watched_ms")

Wait = Callable[[], bool]


class RequestType(StrEnum):
    """What CloudFormation wants done with the resource."""

    CREATE = "Create"
    UPDATE = "Update"
    DELETE = "Delete"


class AgentProperties(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The properties of `Custom::PushlaneAgent`. CloudFormation passes every number as text.

    `heartbeat_seconds`: the agent lives long and says so by `AgentHeartbeat`; it is taken for dead when nothing was
    heard of it for so long, and takes work from its first heartbeat on. It should send one each third of that. Where it
    is pushed to: `endpoint_kind` and `endpoint_target`, or `queue_url` alone.
    """

    agent_id: Identifier
    capabilities: Capabilities
    slots: Annotated[int, Meta(ge=1, le=SLOTS_MAX)]
    queue_url: Annotated[str, Meta(max_length=TARGET_CHARACTERS_MAX)] = ""
    endpoint_kind: EndpointKind = EndpointKind.SQS
    endpoint_target: Annotated[str, Meta(max_length=TARGET_CHARACTERS_MAX)] = ""
    pool: Identifier = DEFAULT_POOL
    heartbeat_seconds: Annotated[float, Meta(ge=1, le=_HEARTBEAT_SECONDS_MAX)] | None = None

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(kind=self.endpoint_kind, target=self.endpoint_target or self.queue_url)


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
        require_endpoint(agent.endpoint)
        return Request(type=RequestType(event["RequestType"]), agent=agent)
    except InvalidEvent as error:
        named = "EndpointTarget" if "EndpointKind" in event["ResourceProperties"] else "QueueUrl"
        raise InvalidEvent(f"$.ResourceProperties.{named}", error.reason, error.code) from error
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
    key = agent_key(agent.pool, agent.agent_id)
    entry: dict[str, Scalar] = {
        "v": _VERSION,
        "agent_id": agent.agent_id,
        "pool": agent.pool,
        "capabilities": sorted(set(agent.capabilities)),
        "slots": agent.slots,
        **endpoint_attributes(agent.endpoint),
    }
    unmoved = {"used": 0, "revision": 0}
    if agent.heartbeat_seconds is None:
        active: dict[str, Scalar] = {"status": AgentStatus.ACTIVE.value}
        store.write(Update(key, set=entry | active, add=unmoved, remove=(*_OF_STARTS, *_OF_HEARTBEATS)))
        return "registered"
    entry["heartbeat_ms"] = round(agent.heartbeat_seconds * 1_000)
    try:
        beats = (Equals("status", AgentStatus.ACTIVE.value), AtLeast("heartbeat_at_ms", 1))
        store.write(Update(key, set=entry, add=unmoved, remove=_OF_STARTS, conditions=beats))
    except ConditionFailed:
        silent: dict[str, Scalar] = {"status": AgentStatus.UNAVAILABLE.value}
        store.write(Update(key, set=entry | silent, add=unmoved, remove=_OF_STARTS))
        return "registered; it takes work from its first heartbeat on"
    return "registered"


def drain(key: Key, store: ItemStore, wait: Wait) -> str:
    """Give the agent nothing new, wait until it has nothing left, then remove its entry.

    An entry that still holds reservations when the time is up stays as DRAINING: removing it would leave completions
    with nothing to release.
    """
    if not draining(key, store):
        return "was not registered"
    while True:
        try:
            store.write(Delete(key, conditions=(Equals("status", AgentStatus.DRAINING.value), AtMost("used", 0))))
            return "removed"
        except ConditionFailed as failed:
            if failed.item is None:
                return "removed"
            if failed.item.attributes.get("status") != AgentStatus.DRAINING.value:
                return "registered again meanwhile"
            if not wait():
                return f"left draining: {failed.item.attributes.get('used')} attempts are still running"


def draining(key: Key, store: ItemStore) -> bool:
    """Give the agent nothing new; False when there is none."""
    try:
        store.write(Update(key, set={"status": AgentStatus.DRAINING.value}, conditions=(Present(),)))
    except ConditionFailed:
        return False
    return True
