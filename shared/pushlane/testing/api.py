"""The HTTP API in one process, over the in-memory dispatcher.

api = InMemoryApi(dispatcher)
answer = api.call("POST", "/v1/tasks", principal=api.producer("atlas"), body={"task_type": "echo"})
assert answer.status == 202
"""

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from pushlane.api.app import Api
from pushlane.api.caller import Callers, context_of
from pushlane.api.credentials import CredentialPorts, Credentials
from pushlane.api.ports import ApiPorts
from pushlane.inmemory.listing import InMemoryTaskListing
from pushlane.model.access_key import AccessKey, KeyKind, api_key_text, secret_digest
from pushlane.model.ids import digest
from pushlane.model.issuer import KeysUnavailable
from pushlane.model.principal import Principal, Role
from pushlane.model.task import DEFAULT_POOL
from pushlane.state.access_keys import add_key
from pushlane.testing.dispatcher import RING, InMemoryDispatcher
from pushlane.testing.event_logs import EVENTS


class Answer(Struct, frozen=True, kw_only=True):
    """One response. `body` is decoded where it is JSON; `text` is as it was sent."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text) if self.text else None

    @property
    def code(self) -> str:
        """The code of the problem that this is (`unknown-task`); empty for none."""
        said = self.headers.get("content-type", "").startswith("application/problem")
        return str(self.body["type"]).rpartition(":")[2] if said else ""


class InMemoryApi:
    """The real application. An error that nothing expected is raised again, instead of becoming a 503; `faults_answer`
    leaves it as it is. `sleep` lets the dispatcher's time pass.
    """

    def __init__(self, dispatcher: InMemoryDispatcher, *, faults_answer: bool = False, **ports: Any) -> None:
        self.dispatcher = dispatcher
        self._sequence = 0
        credentials = Credentials(
            CredentialPorts(store=dispatcher.store, clock=dispatcher.clock, keyring=lambda: RING, fetch=_no_documents)
        )
        said: dict[str, Any] = {
            "router": dispatcher.router_ports(dispatcher.held),
            "identify": Callers(credentials).identify,
            "new_id": self._new_id,
            "sleep": dispatcher.advance,
            "listing": InMemoryTaskListing(dispatcher.store),
            "link": lambda key, seconds: f"https://claims.example/{key}?expires={seconds}",
            "events_queue_url": EVENTS,
            "schedules": dispatcher.schedules,
        }
        self.ports = ApiPorts(**(said | ports))
        self.app = Api(self.ports, unforeseen=(lambda _error: None) if faults_answer else _raise)

    def call(
        self,
        method: str,
        path: str,
        *,
        principal: Principal | None = None,
        credential: str | None = None,
        body: Any = None,
        raw_body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Call an operation as `principal` (what API Gateway's authorizer would have said), or with a `credential`, or
        with neither. `raw_body` is sent as it is.
        """
        sent = dict(headers or {})
        if credential is not None:
            sent["authorization"] = f"Bearer {credential}"
        raw = raw_body if raw_body is not None else b"" if body is None else msgspec.json.encode(body)
        context: dict[str, Any] = {"http": {"method": method}, "stage": "$default", "requestId": self._new_id()}
        if principal is not None:
            context["authorizer"] = {"lambda": context_of(principal)}
        event = {
            "version": "2.0",
            "rawPath": path,
            "rawQueryString": urlencode(query or {}),
            "queryStringParameters": {name: str(value) for name, value in (query or {}).items()},
            "headers": sent,
            "requestContext": context,
            "body": base64.b64encode(raw).decode(),
            "isBase64Encoded": True,
        }
        said = self.app.handle(event)
        return Answer(status=said["statusCode"], headers=said["headers"], text=said.get("body", ""))

    def new_key(self, role: Role, *, tenant_id: str | None = None, **bounds: Any) -> str:
        """Make an API key and return it as its holder shows it. `bounds`: `pool`, `agent_id`, `expires_at_ms`,
        `status`.
        """
        self._sequence += 1
        key_id, secret = f"testkey{self._sequence:05d}", digest(str(self._sequence)) * 2
        key = AccessKey(
            key_id=key_id,
            kind=KeyKind.API,
            role=role,
            created_at_ms=self.dispatcher.clock.now_ms(),
            tenant_id=tenant_id,
            secret_digest=secret_digest(secret),
            **bounds,
        )
        add_key(self.dispatcher.store, key)
        return api_key_text(key_id, secret)

    @staticmethod
    def producer(tenant_id: str = "atlas") -> Principal:
        return Principal(principal_id=f"producer.{tenant_id}", role=Role.PRODUCER, tenant_id=tenant_id)

    @staticmethod
    def operator(tenant_id: str | None = None) -> Principal:
        """Of the installation; with a tenant, of that one alone."""
        return Principal(principal_id="operator", role=Role.OPERATOR, tenant_id=tenant_id)

    @staticmethod
    def admin() -> Principal:
        return Principal(principal_id="admin", role=Role.ADMIN)

    @staticmethod
    def agent(agent_id: str | None = None, pool: str = DEFAULT_POOL, tenant_id: str | None = None) -> Principal:
        return Principal(
            principal_id=f"agent.{agent_id or pool}", role=Role.AGENT, pool=pool, agent_id=agent_id, tenant_id=tenant_id
        )

    def _new_id(self) -> str:
        self._sequence += 1
        return f"r-{digest('request', str(self._sequence))}"


def _raise(error: Exception) -> None:
    raise error


def _no_documents(url: str) -> bytes:
    raise KeysUnavailable(f"{url}: a test has no issuers' documents")
