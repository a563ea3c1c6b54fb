"""The WebSocket application: connections come and go, follow streams, and tell tasks something.

A subscription is written down, and what there is is posted, before the message is answered; the streamer goes on from
there. Commands run as the HTTP operations that they are. Every refusal is a frame with the problem document.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from pushlane.api import access
from pushlane.api.caller import context_of, principal_from
from pushlane.api.operations import PRODUCERS, Request
from pushlane.api.ports import ApiPorts
from pushlane.api.problems import Problem, forbidden, too_many, unauthenticated, unavailable, unknown
from pushlane.api.socket_messages import (
    CancelMessage,
    PingMessage,
    SignalMessage,
    SubscribeMessage,
    UnsubscribeMessage,
    message_of,
)
from pushlane.model.errors import PushlaneError
from pushlane.model.live import Connection, StreamKind, Subscribe, log_of
from pushlane.model.principal import Principal
from pushlane.router import agent_connections
from pushlane.router.following import Following
from pushlane.router.repeating import told
from pushlane.state import connections
from pushlane.state.connections import SUBSCRIPTIONS_MAX, Connected
from pushlane.state.items import text

_OK: Final[Mapping[str, Any]] = {"statusCode": 200}

Frame = dict[str, Any]


class Sockets:
    """Answers WebSocket events. `http`: the HTTP application, which commands are put to; `following` begins to post."""

    def __init__(
        self, ports: ApiPorts, http: Callable[[Mapping[str, Any]], Mapping[str, Any]], following: Following
    ) -> None:
        self._ports = ports
        self._http = http
        self._following = following

    def handle(self, event: Mapping[str, Any]) -> Mapping[str, Any]:
        """The answer to one event; its body, if any, goes to the connection. Raises `StoreUnavailable` only for a
        connection that cannot be recorded: then it is refused.
        """
        context = event["requestContext"]
        match context["eventType"]:
            case "CONNECT":
                return self._connect(context)
            case "DISCONNECT":
                self._disconnect(context["connectionId"])
                return _OK
            case _:
                frame = self._message(event)
                return _OK if frame is None else {**_OK, "body": msgspec.json.encode(frame).decode()}

    def _connect(self, context: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            principal = principal_of(context)
        except Problem as problem:
            return {"statusCode": problem.status}
        connected = Connected(
            connection=connection_of(context), principal=principal, opened_at_ms=self._ports.clock.now_ms()
        )
        connections.connect(self._ports.store, connected)
        agent_connections.came(self._ports.turn, principal, connected.connection.connection_id)
        self._ports.log("connected", principal_id=principal.principal_id, tenant_id=principal.tenant_id)
        return _OK

    def _disconnect(self, connection_id: str) -> None:
        found = connections.load_connection(self._ports.store, connection_id)
        connections.disconnect(self._ports.store, connection_id)
        if found is not None:
            agent_connections.went(self._ports.turn, found.principal, connection_id)

    def _message(self, event: Mapping[str, Any]) -> Frame | None:
        raw = str(event.get("body") or "").encode(errors="surrogatepass")
        request_id = str(event["requestContext"].get("requestId") or self._ports.new_id())
        try:
            return self._answer(event["requestContext"], raw, request_id)
        except Problem as problem:
            return _refused(problem, raw, request_id)
        except PushlaneError as error:
            self._ports.log("message-failed", request_id=request_id, error=f"{type(error).__name__}: {error}"[:500])
            return _refused(unavailable(), raw, request_id)

    def _answer(self, context: Mapping[str, Any], raw: bytes, request_id: str) -> Frame | None:
        message = message_of(raw)
        if isinstance(message, PingMessage):
            return {"type": "pong", "ref": message.ref}
        principal = self._caller(context)
        if isinstance(message, SignalMessage | CancelMessage):
            return self._command(message, principal, request_id)
        tenant_id = self._owner(message, principal, request_id)
        log, connection = log_of(message.stream, message.id), connection_of(context)
        if isinstance(message, UnsubscribeMessage):
            connections.unsubscribe(self._ports.store, log, connection.connection_id)
            return {"type": "unsubscribed", "stream": log, "ref": message.ref}
        wish = Subscribe(
            log=log,
            tenant_id=tenant_id,
            connection=connection,
            subscription_id=f"{connection.connection_id}/{request_id}",
            after=message.after,
        )
        self._begin(wish)
        return None

    def _caller(self, context: Mapping[str, Any]) -> Principal:
        """Who opened the connection, if he may still: an open connection is not asked for its credential again."""
        found = connections.load_connection(self._ports.store, context["connectionId"])
        if found is None:
            raise unauthenticated()
        principal, router = found.principal, self._ports.router
        if principal.role not in PRODUCERS:
            raise forbidden()
        key = None if principal.key_id is None else router.access_key(principal.key_id)
        revoked = key is not None and not key.usable(self._ports.clock.now_ms())
        if revoked or (principal.tenant_id is not None and principal.tenant_id not in router.tenants.active()):
            raise unauthenticated()
        return principal

    def _begin(self, wish: Subscribe) -> None:
        followed = connections.follows(self._ports.store, wish.connection.connection_id)
        if wish.log not in followed and len(followed) >= SUBSCRIPTIONS_MAX:
            detail = f"a connection follows at most {SUBSCRIPTIONS_MAX} streams: unsubscribe from one, or open another"
            raise too_many(detail, 60, "too-many-subscriptions")
        left = self._following.begin(wish, self._ports.clock.now_ms())
        if not told(self._ports.sender, self._ports.events_queue_url or "", left, self._ports.router.keyring):
            raise unavailable()

    def _owner(self, message: SubscribeMessage | UnsubscribeMessage, principal: Principal, request_id: str) -> str:
        """Whose the stream is; raises the same 404 for what is not there and for what is another's."""
        if principal.stream not in (None, message.id):
            raise unknown(message.stream.value)
        request = Request(
            principal=principal,
            path={f"{message.stream}_id": message.id},
            query=None,
            body=None,
            headers={},
            raw_body=b"",
            request_id=request_id,
            now_ms=self._ports.clock.now_ms(),
        )
        match message.stream:
            case StreamKind.TASK:
                return text(access.owned_task(self._ports, request), "tenant_id")
            case StreamKind.WORKFLOW:
                return access.owned_workflow(self._ports, request).accepted.tenant_id
            case StreamKind.TENANT:
                own = principal.may_speak_for(message.id)
                if not own or message.id not in self._ports.router.tenants.active():
                    raise unknown("tenant")
                return message.id

    def _command(self, message: SignalMessage | CancelMessage, principal: Principal, request_id: str) -> Frame:
        """Put a command to the HTTP application, and its answer into a frame."""
        if principal.by_ticket:
            raise forbidden("a ticket is for watching: connect with a key to tell tasks something")
        answer = self._http(http_event(message, principal, request_id))
        body = msgspec.json.decode(answer["body"]) if answer.get("body") else None
        if answer["statusCode"] >= 400:
            return {"type": "error", "action": message.action, "ref": message.ref, "problem": body}
        said = {"type": "answer", "action": message.action, "ref": message.ref, "status": answer["statusCode"]}
        return {**said, "body": body}


def principal_of(context: Mapping[str, Any]) -> Principal:
    """Who connects, as the authorizer found; raises the 401 problem without."""
    authorizer = context.get("authorizer") or {}
    if "principal_id" not in authorizer:
        raise unauthenticated()
    try:
        return principal_from(authorizer)
    except msgspec.ValidationError as error:
        raise unauthenticated() from error


def connection_of(context: Mapping[str, Any]) -> Connection:
    return Connection(
        connection_id=context["connectionId"],
        api_id=context["apiId"],
        domain=context["domainName"],
        stage=context["stage"],
    )


def http_event(message: SignalMessage | CancelMessage, principal: Principal, request_id: str) -> dict[str, Any]:
    """The command as the HTTP event that says the same."""
    path = f"/v1/tasks/{message.task_id}"
    method, body, query = "DELETE", None, ""
    if isinstance(message, CancelMessage):
        query = urlencode({"reason": message.reason}) if message.reason is not None else ""
    else:
        said = {"name": message.name, "data": message.data}
        method, path = "POST", f"{path}/signals"
        body = msgspec.json.encode(said | ({"signal_id": message.signal_id} if message.signal_id else {})).decode()
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"content-type": "application/json"},
        "body": body,
        "requestContext": {
            "requestId": request_id,
            "stage": "$default",
            "http": {"method": method, "path": path},
            "authorizer": {"lambda": context_of(principal)},
        },
    }


def _refused(problem: Problem, raw: bytes, request_id: str) -> Frame:
    """The refusal, with what can be read of the message that it answers."""
    try:
        said = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        said = None
    known = said if isinstance(said, dict) else {}
    echoed = {name: known[name][:128] for name in ("action", "ref") if isinstance(known.get(name), str)}
    return {"type": "error", **echoed, "problem": problem.document("/", request_id)}
