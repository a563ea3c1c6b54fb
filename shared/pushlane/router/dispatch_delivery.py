"""One dispatch to an agent behind a URL or a WebSocket connection.

What is not taken is not tried again here: the attempt's start lease pushes it again, and counts it to the agent.
"""

from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.model.derived_secrets import AGENT, derived_secret
from pushlane.model.endpoint import EndpointKind
from pushlane.model.errors import InvalidToken
from pushlane.model.keyring import KeyRing
from pushlane.model.live import Connection
from pushlane.model.principal import Principal
from pushlane.model.target_url import InvalidTarget, TargetUnreachable
from pushlane.model.token import ReservationClaims, verify
from pushlane.model.webhook_signature import signature_headers
from pushlane.ports import Frame, Posted
from pushlane.router.callback_delivery import Unreadable
from pushlane.router.courier_ports import CourierPorts
from pushlane.state.access_keys import find_key
from pushlane.state.connections import connections_of_agent, load_connection
from pushlane.state.principals import tenant_status


class Ordered(Struct, frozen=True, kw_only=True):
    """A message of the outbound queue. The document stays the bytes that it is."""

    kind: EndpointKind
    target: str
    dispatch: msgspec.Raw
    v: int = 1


class DispatchFrame(Struct, frozen=True, kw_only=True):
    """What an agent on a WebSocket gets."""

    dispatch: msgspec.Raw
    type: str = "dispatch"


class _Proof(Struct, frozen=True, kw_only=True):
    """As much of a dispatch as the courier reads."""

    task_id: str
    epoch: int
    token: str


_ordered: Final = msgspec.json.Decoder(Ordered)
_proof: Final = msgspec.json.Decoder(_Proof)


def agent_secret(key: bytes, pool: str, agent_id: str) -> bytes:
    """What dispatches to an agent are signed under, by a key of the ring. All keys of the ring sign, so replacing the
    ring's key replaces this secret, and both hold while both keys are there.
    """
    return derived_secret(key, AGENT, pool, agent_id)


def secrets_of(ring: KeyRing, pool: str, agent_id: str) -> list[bytes]:
    """What dispatches to the agent are signed under now, the current key's first."""
    kids = sorted(ring.keys, key=lambda kid: (kid != ring.current, kid))
    return [agent_secret(ring.key(kid), pool, agent_id) for kid in kids]


def ordered(body: str) -> Ordered:
    """The message; raises `Unreadable`."""
    try:
        return _ordered.decode(body)
    except msgspec.DecodeError as error:
        raise Unreadable(f"no dispatch: {error}") from error


def deliver_dispatch(ports: CourierPorts, order: Ordered) -> bool:
    """Hand a dispatch over once; False when the agent did not take it. Raises `Unreadable`, and what the store does."""
    try:
        proof = _proof.decode(order.dispatch)
        claims = verify(proof.token, ports.keyring(), ports.clock.now_ms())
    except (msgspec.DecodeError, InvalidToken) as error:
        raise Unreadable(f"a dispatch that the router did not make: {error}") from error
    said: dict[str, Any] = {"task_id": claims.task_id, "epoch": claims.epoch, "agent_id": claims.agent_id}
    if order.kind is EndpointKind.HTTPS:
        became = _by_https(ports, order, proof, claims)
    elif order.kind is EndpointKind.WEBSOCKET:
        became = _by_websocket(ports, order, claims)
    else:
        raise Unreadable(f"a dispatch by {order.kind.value} is not the courier's")
    ports.log("dispatch-delivered" if became is None else "dispatch-not-taken", **said, reason=became)
    return became is None


def _by_https(ports: CourierPorts, order: Ordered, proof: _Proof, claims: ReservationClaims) -> str | None:
    """Why it was not taken; None when it was."""
    body = bytes(order.dispatch)
    secrets = secrets_of(ports.keyring(), claims.reservation.agent_pool, claims.agent_id)
    sent_at_seconds = ports.clock.now_ms() // 1_000
    headers = signature_headers(secrets, f"{proof.task_id}.{proof.epoch}", sent_at_seconds, body)
    try:
        answer = ports.http.post(order.target, {"content-type": "application/json", **headers}, body)
    except (InvalidTarget, TargetUnreachable) as error:
        return str(error)
    return None if answer.taken else f"answered {answer.status}"


def _by_websocket(ports: CourierPorts, order: Ordered, claims: ReservationClaims) -> str | None:
    if ports.poster is None:
        return "this installation has no WebSocket API"
    body = msgspec.json.encode(DispatchFrame(dispatch=order.dispatch))
    for connection in _connections(ports, order.target, claims):
        [posted] = ports.poster.post([Frame(connection, body)])
        if posted is Posted.DELIVERED:
            return None
    return "no open connection of the agent took it"


def _connections(ports: CourierPorts, target: str, claims: ReservationClaims) -> list[Connection]:
    """The connection that was meant, if it is the agent's; then others that the agent has opened since. None whose
    key opens nothing any more: a connection outlives the key that it was opened with.
    """
    pool, agent_id = claims.reservation.agent_pool, claims.agent_id
    meant = load_connection(ports.store, target)
    own = meant is not None and (meant.principal.pool, meant.principal.agent_id) == (pool, agent_id)
    first = [meant] if meant is not None and own else []
    others = sorted(connections_of_agent(ports.store, pool, agent_id), key=lambda one: -one.opened_at_ms)
    ordered = first + [one for one in others if one.connection not in [had.connection for had in first]]
    return [one.connection for one in ordered if _let_in(ports, one.principal)]


def _let_in(ports: CourierPorts, principal: Principal) -> bool:
    """Whether its credential would open a connection now; of a token that can not be looked up."""
    if principal.tenant_id is not None and tenant_status(ports.store, principal.tenant_id) != "active":
        return False
    if principal.key_id is None:
        return True
    key = find_key(ports.store, principal.key_id)
    return key is not None and key.usable(ports.clock.now_ms())
