"""A world with one of everything of tenant atlas, and the calls that a row of the matrix makes in it."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.agent import TaskContext, agent
from pushlane.api.catalogue import OPERATIONS
from pushlane.api.operations import Operation
from pushlane.model.access_key import KeyStatus
from pushlane.model.claim_check import claim_key
from pushlane.model.events import Dispatch
from pushlane.model.principal import Role
from pushlane.model.webhook_signature import secret_of, signature_headers
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.api import Answer, InMemoryApi
from pushlane.testing.deliveries import agent_queue
from tests.edge.matrix import HOOK, PULL, SCHEDULE, WORKFLOW, Column, Row, Subject

ATLAS: Final = "atlas"
BIRCH: Final = "birch"
ROLES: Final = tuple(Role)
NOBODYS: Final = "t-00000000000000000000000000000000"
MALFORMED_ID: Final = "-a.b"
BY_ID: Final[Mapping[str, Operation]] = {one.operation_id: one for one in OPERATIONS}
_CLAIMED: Final = b'{"large":true}'


class Call(Struct, frozen=True, kw_only=True):
    """One request as it goes out."""

    method: str
    path: str
    body: Any = None
    raw_body: bytes | None = None
    headers: Mapping[str, str] = {}
    query: Mapping[str, str] = {}
    credential: str | None = None


class Place(Struct, frozen=True, kw_only=True):
    """What a path names, and what proves it."""

    path: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}


class World:
    """Atlas has one of everything; birch is there as well. Everything that is made is made through the API."""

    def __init__(self) -> None:
        self.dispatcher = InMemoryDispatcher(tenants=(ATLAS, BIRCH))
        self.api = InMemoryApi(self.dispatcher)
        self.dispatcher.register(None, agent_id="one", slots=5, capabilities=("echo",))

    def place(self, subject: Subject, tenant_id: str = ATLAS) -> Place:
        """Make the subject."""
        match subject:
            case Subject.NOTHING:
                return Place()
            case Subject.TASK:
                return Place(path={"task_id": self.submitted(tenant_id, {"task_type": "nobody-does-this"})})
            case Subject.DONE:
                return Place(path={"task_id": self._ended(tenant_id, "double")})
            case Subject.DEAD:
                return Place(path={"task_id": self._ended(tenant_id, "fail")})
            case Subject.WORKFLOW:
                made = self._made(tenant_id, "/v1/workflows", WORKFLOW)
                self.dispatcher.run_until_idle()
                return Place(path={"workflow_id": made["workflow_id"]})
            case Subject.SCHEDULE:
                return Place(path={"schedule_id": self._made(tenant_id, "/v1/schedules", SCHEDULE)["schedule_id"]})
            case Subject.HOOK:
                return self._hook(tenant_id)
            case Subject.POOL:
                return Place(path={"pool": "default"})
            case Subject.TENANT:
                return Place(path={"tenant_id": BIRCH})
            case Subject.FILE:
                return Place(path={"file": "console.css"})
            case Subject.AGENT | Subject.PULLER:
                return self._agent()
            case Subject.DISPATCHED | Subject.STARTED:
                return self._attempt(tenant_id, started=subject is Subject.STARTED)

    def submitted(self, tenant_id: str, body: Mapping[str, Any]) -> str:
        return str(self._made(tenant_id, "/v1/tasks", body)["task_id"])

    def _made(self, tenant_id: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        answer = self.api.call("POST", path, principal=self.api.operator(tenant_id), body=body)
        assert answer.status in (200, 201, 202), answer
        made: dict[str, Any] = answer.body
        return made

    def _ended(self, tenant_id: str, task_type: str) -> str:
        @agent(task_types=("double", "fail"))
        def work(_ctx: TaskContext, payload: dict[str, Any]) -> dict[str, Any]:
            if payload.get("fails"):
                raise ValueError("as ordered")
            return {"done": True}

        self.dispatcher.register(work, agent_id="worker")
        body = {"task_type": task_type, "payload": {"fails": task_type == "fail"}, "retry": {"max_attempts": 1}}
        task_id = self.submitted(tenant_id, body)
        self.dispatcher.run_until_idle()
        return task_id

    def _hook(self, tenant_id: str) -> Place:
        made = self._made(tenant_id, "/v1/hooks", HOOK)
        return Place(path={"hook_id": made["hook_id"]}, headers={"secret": made["secret"]})

    def _agent(self) -> Place:
        body = {**PULL, "heartbeat_seconds": 60}
        put = self.api.call("PUT", "/v1/agents/puller", principal=self.api.agent("puller"), body=body)
        assert put.status == 201, put
        return Place(path={"agent_id": "puller"})

    def _attempt(self, tenant_id: str, *, started: bool) -> Place:
        task_id = self.submitted(tenant_id, {"task_type": "echo"})
        [message] = self.dispatcher.sender.drain(agent_queue("one", "default"), limit=1)
        headers = {"pushlane-reservation": msgspec.json.decode(message.body, type=Dispatch).token}
        if started:
            path = f"/v1/attempts/{task_id}/start"
            said = self.api.call("POST", path, principal=self.api.agent(), body={"runner": "r1"}, headers=headers)
            assert said.status == 200, said
        name = claim_key(tenant_id, hashlib.sha256(_CLAIMED).hexdigest()).rpartition("/")[2]
        self.dispatcher.blobs.put(claim_key(tenant_id, hashlib.sha256(_CLAIMED).hexdigest()), _CLAIMED)
        return Place(path={"task_id": task_id, "name": name}, headers=headers)

    def key(self, role: Role, column: Column, *, installation: bool = False) -> str:
        """An API key as the column has it."""
        bounds: dict[str, Any] = {}
        if column is Column.EXPIRED:
            bounds["expires_at_ms"] = self.dispatcher.clock.now_ms() - 1
        if column is Column.REVOKED:
            bounds["status"] = KeyStatus.REVOKED
        tenant_id: str | None = BIRCH if column is Column.OTHER else ATLAS
        if role is Role.AGENT:
            bounds["pool"] = "default"
            tenant_id = None
        if role is Role.ADMIN or (installation and column is not Column.OTHER):
            tenant_id = None
        return self.api.new_key(role, tenant_id=tenant_id, **bounds)

    def send(self, call: Call) -> Answer:
        return self.api.call(**msgspec.structs.asdict(call))


def call_of(operation: Operation, row: Row, place: Place, *, changed: Mapping[str, str] = {}) -> Call:
    """The row's call on a place; `changed`: other ids than the place's."""
    path = operation.path
    for name, value in {**place.path, **changed}.items():
        path = path.replace(f"{{{name}}}", value)
    return Call(
        method=operation.method,
        path=path,
        body=row.body,
        raw_body=_CLAIMED if operation.opaque else None,
        headers={**row.headers, **{name: value for name, value in place.headers.items() if name != "secret"}},
        query=row.query,
    )


def delivery(world: World, call: Call, secret: str, *, age_seconds: int = 0) -> Call:
    """A delivery to a hook, signed."""
    raw = json.dumps({"n": 1}).encode()
    at = world.dispatcher.clock.now_ms() // 1_000 - age_seconds
    headers = signature_headers([secret_of(secret)], f"m-{at}", at, raw)
    return msgspec.structs.replace(call, raw_body=raw, headers=headers)
