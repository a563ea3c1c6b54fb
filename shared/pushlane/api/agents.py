"""Agents: register, look at, heartbeat, drain, remove, and claim for those that are not pushed to."""

from typing import Final

import msgspec

from pushlane.api.access import caller
from pushlane.api.agent_access import agent_of_path, pool_of, require_all_tenants
from pushlane.api.agent_documents import (
    AgentList,
    AgentView,
    ClaimSaid,
    Dispatches,
    EndpointSaid,
    Heard,
    PoolQuery,
    Registration,
    Removal,
)
from pushlane.api.claiming import take
from pushlane.api.operations import Operation, Owned, Request, Response
from pushlane.api.ports import ApiPorts
from pushlane.api.problems import conflict, forbidden, invalid, unknown
from pushlane.model.agent import Agent
from pushlane.model.derived_secrets import secret_text
from pushlane.model.endpoint import Endpoint, EndpointKind, require_endpoint
from pushlane.model.errors import InvalidEvent
from pushlane.model.principal import Principal, Role
from pushlane.ports import Table
from pushlane.router.agent_health import heard
from pushlane.router.dispatch_delivery import agent_secret
from pushlane.router.duties import take_turn
from pushlane.router.registry import AgentProperties, drain, draining, register
from pushlane.router.turn import Turn
from pushlane.state import keys
from pushlane.state.items import agent_of

_TAG: Final = "agents"
_ROLES: Final = frozenset({Role.AGENT, Role.OPERATOR, Role.ADMIN})
_LIST_MAX: Final = 1_000
# What agents may register themselves: the rest is somewhere in the deployment's own account.
_OF_AGENTS: Final = frozenset({EndpointKind.HTTPS, EndpointKind.WEBSOCKET, EndpointKind.PULL})


def put(ports: ApiPorts, request: Request) -> Response:
    """Register the agent, or change its entry."""
    said: Registration = request.body
    pool, agent_id = pool_of(request), agent_of_path(request)
    require_all_tenants(caller(request))
    endpoint = _endpoint(ports, said.endpoint, caller(request))
    known = _load(ports, pool, agent_id)
    properties = AgentProperties(
        agent_id=agent_id,
        pool=pool,
        capabilities=said.capabilities,
        slots=said.slots,
        endpoint_kind=endpoint.kind,
        endpoint_target=_target(endpoint, known),
        heartbeat_seconds=said.heartbeat_seconds,
    )
    register(properties, ports.store)
    _look(ports, pool)
    view = _view(_found(ports, pool, agent_id))
    if endpoint.kind is EndpointKind.HTTPS:
        _, key = ports.router.keyring().signing()
        view = msgspec.structs.replace(view, signing_secret=secret_text(agent_secret(key, pool, agent_id)))
    return Response(status=201 if known is None else 200, body=view)


def _endpoint(ports: ApiPorts, said: EndpointSaid, principal: Principal) -> Endpoint:
    if principal.role is Role.AGENT and said.kind not in _OF_AGENTS:
        kinds = ", ".join(sorted(_OF_AGENTS))
        raise forbidden(f"an agent registers itself with {kinds}; an operator registers any other endpoint")
    if said.kind is EndpointKind.WEBSOCKET and said.target:
        raise invalid("$.endpoint.target", "a websocket agent's target is its connection: leave it out, and connect")
    try:
        return require_endpoint(Endpoint(kind=said.kind, target=said.target), ports.targets)
    except InvalidEvent as error:
        raise invalid(error.field, error.reason, error.code) from error


def _target(endpoint: Endpoint, known: Agent | None) -> str:
    """Registered again, a connected agent stays connected."""
    if endpoint.kind is EndpointKind.WEBSOCKET and known is not None and known.endpoint.kind is endpoint.kind:
        return known.endpoint.target
    return endpoint.target


def show(ports: ApiPorts, request: Request) -> Response:
    """One agent."""
    return Response(body=_view(_found(ports, pool_of(request), agent_of_path(request))))


def show_all(ports: ApiPorts, request: Request) -> Response:
    """The agents of a pool; an agent's credential that is bound to one sees that one."""
    pool, own = pool_of(request), caller(request).agent_id
    items = ports.store.query(Table.SCHEDULER, keys.pool_pk(pool), limit=_LIST_MAX, start=keys.AGENT_PREFIX)
    agents = [agent_of(item) for item in items if item.key.sk.startswith(keys.AGENT_PREFIX)]
    return Response(body=AgentList(agents=tuple(_view(one) for one in agents if own in (None, one.agent_id))))


def beat(ports: ApiPorts, request: Request) -> Response:
    """The agent lives."""
    pool, agent_id = pool_of(request), agent_of_path(request)
    agent = _found(ports, pool, agent_id)
    if agent.heartbeat_ms is None:
        raise conflict("no-heartbeats", "the agent is not registered with heartbeat_seconds: it needs to send none")
    return Response(body=Heard(outcome=heard(ports.turn, ports.pusher, pool, agent_id)))


def take_no_more(ports: ApiPorts, request: Request) -> Response:
    """Give the agent nothing new; what it has goes on."""
    pool, agent_id = pool_of(request), agent_of_path(request)
    if not draining(keys.agent_key(pool, agent_id), ports.store):
        raise unknown("agent")
    return Response(body=_view(_found(ports, pool, agent_id)))


def remove(ports: ApiPorts, request: Request) -> Response:
    """Drain the agent, and remove its entry as soon as it runs nothing: `202` says that it still does; call again."""
    pool, agent_id = pool_of(request), agent_of_path(request)
    _found(ports, pool, agent_id)
    outcome = drain(keys.agent_key(pool, agent_id), ports.store, lambda: False)
    return Response(status=200 if outcome == "removed" else 202, body=Removal(outcome=outcome))


def _load(ports: ApiPorts, pool: str, agent_id: str) -> Agent | None:
    key = keys.agent_key(pool, agent_id)
    item = ports.store.get([key]).get(key)
    return agent_of(item) if item is not None and "status" in item.attributes else None


def _found(ports: ApiPorts, pool: str, agent_id: str) -> Agent:
    agent = _load(ports, pool, agent_id)
    if agent is None:
        raise unknown("agent")
    return agent


def _look(ports: ApiPorts, pool: str) -> None:
    """Tasks may have waited for the agent that came or grew."""
    take_turn(ports.turn, ports.pusher, Turn(ports.turn, ports.pusher, pool), [])


def _view(agent: Agent) -> AgentView:
    return AgentView(
        agent_id=agent.agent_id,
        pool=agent.pool,
        capabilities=tuple(sorted(agent.capabilities)),
        slots=agent.slots,
        used=agent.used,
        status=agent.status,
        endpoint=EndpointSaid(kind=agent.endpoint.kind, target=agent.endpoint.target),
        heartbeat_seconds=None if agent.heartbeat_ms is None else agent.heartbeat_ms / 1_000,
        heartbeat_at_ms=agent.heartbeat_at_ms,
    )


OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        operation_id="putAgent",
        method="PUT",
        path="/v1/agents/{agent_id}",
        roles=_ROLES,
        summary="Register an agent, or change its entry",
        run=put,
        body=Registration,
        query=PoolQuery,
        responses={200: AgentView, 201: AgentView},
        owns=Owned.AGENT,
        tag=_TAG,
    ),
    Operation(
        operation_id="getAgent",
        method="GET",
        path="/v1/agents/{agent_id}",
        roles=_ROLES,
        summary="Look at an agent",
        run=show,
        query=PoolQuery,
        responses={200: AgentView},
        owns=Owned.AGENT,
        tag=_TAG,
    ),
    Operation(
        operation_id="listAgents",
        method="GET",
        path="/v1/agents",
        roles=_ROLES,
        summary="List the agents of a pool",
        run=show_all,
        query=PoolQuery,
        responses={200: AgentList},
        tag=_TAG,
    ),
    Operation(
        operation_id="heartbeatAgent",
        method="POST",
        path="/v1/agents/{agent_id}/heartbeat",
        roles=_ROLES,
        summary="Say that the agent lives",
        run=beat,
        query=PoolQuery,
        responses={200: Heard},
        problems=frozenset({409}),
        owns=Owned.AGENT,
        tag=_TAG,
    ),
    Operation(
        operation_id="drainAgent",
        method="POST",
        path="/v1/agents/{agent_id}/drain",
        roles=_ROLES,
        summary="Give the agent nothing new",
        run=take_no_more,
        query=PoolQuery,
        responses={200: AgentView},
        owns=Owned.AGENT,
        tag=_TAG,
    ),
    Operation(
        operation_id="removeAgent",
        method="DELETE",
        path="/v1/agents/{agent_id}",
        roles=_ROLES,
        summary="Drain the agent and remove its entry",
        run=remove,
        query=PoolQuery,
        responses={200: Removal, 202: Removal},
        owns=Owned.AGENT,
        tag=_TAG,
    ),
    Operation(
        operation_id="claimTasks",
        method="POST",
        path="/v1/agents/{agent_id}/claim",
        roles=frozenset({Role.AGENT}),
        summary="Claim tasks for an agent that is not pushed to",
        run=take,
        body=ClaimSaid,
        query=PoolQuery,
        responses={200: Dispatches},
        problems=frozenset({409}),
        owns=Owned.AGENT,
        tag=_TAG,
    ),
)
