"""Connections of agents that are dispatched to over a WebSocket: while none is open, the agent is offered nothing."""

from pushlane.model.endpoint import EndpointKind
from pushlane.model.events import WakeUp
from pushlane.model.principal import Principal
from pushlane.ports import Condition, ConditionFailed, Equals, Message, Update
from pushlane.router.turn import TurnPorts
from pushlane.state import keys
from pushlane.state.connections import connections_of_agent
from pushlane.state.items import to_json


def came(ports: TurnPorts, principal: Principal, connection_id: str) -> bool:
    """A connection is open; says whether it is an agent's that is dispatched to over it. A turn looks for its work."""
    if not _point(ports, principal, connection_id):
        return False
    wake = WakeUp(pool=principal.pool or "", generation=0, due_ms=ports.clock.now_ms())
    ports.sender.send(ports.wakeups_queue_url, [Message(to_json(wake))])  # lost, the sweep makes it good
    return True


def went(ports: TurnPorts, principal: Principal, connection_id: str) -> bool:
    """A connection is gone, and no longer recorded: another open one of the agent takes its place, or none."""
    if principal.pool is None or principal.agent_id is None:
        return False
    others = connections_of_agent(ports.store, principal.pool, principal.agent_id)
    open_ids = [one.connection.connection_id for one in others if one.connection.connection_id != connection_id]
    return _point(ports, principal, open_ids[-1] if open_ids else "", Equals("endpoint_target", connection_id))


def _point(ports: TurnPorts, principal: Principal, target: str, *more: Condition) -> bool:
    if principal.pool is None or principal.agent_id is None:
        return False
    over_websocket = Equals("endpoint_kind", EndpointKind.WEBSOCKET.value)
    key = keys.agent_key(principal.pool, principal.agent_id)
    try:
        ports.store.write(Update(key, set={"endpoint_target": target}, conditions=(over_websocket, *more)))
    except ConditionFailed:
        return False
    return True
