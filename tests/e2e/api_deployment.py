"""A deployed Pushlane with its API, on an embedded AWS of its own, and how to call it."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from pushlane.client.event_log import EventLog
from pushlane.local.context import LOCAL_CONTEXT
from pushlane.local.deploy import ContextValue
from pushlane.model.access_key import AccessKey, KeyKind, api_key_text, secret_digest
from pushlane.model.principal import Role
from pushlane.model.task import DEFAULT_POOL
from pushlane.model.timeline import LoggedEvent
from pushlane.state.access_keys import add_key
from tests.e2e.conftest import Deployed, deployment_of

TENANT = "atlas"
OTHER = "birch"


@dataclass
class ApiDeployed:
    """A deployment with the API, and a producer's key of one tenant."""

    deployed: Deployed
    http_url: str
    web_socket_url: str
    key: str
    http: httpx.Client

    @property
    def port(self) -> int:
        """Of the emulator."""
        port = urlsplit(self.http_url).port
        assert port is not None
        return port

    def submit(self, payload: dict[str, Any], **order: Any) -> str:
        """The id of a new chaos task."""
        answer = self.http.post("/v1/tasks", json={"task_type": "chaos", **order, "payload": payload})
        assert answer.status_code == 202, answer.text
        task_id: str = answer.json()["task_id"]
        return task_id

    def ticket(self, stream: str | None = None) -> str:
        answer = self.http.post("/v1/stream-tickets", json={"stream": stream} if stream else {})
        assert answer.status_code == 201, answer.text
        ticket: str = answer.json()["ticket"]
        return ticket

    def logged(self, task_id: str) -> list[LoggedEvent]:
        """What the event log has."""
        return list(EventLog(self.deployed.store).since(task_id))

    def restart(self, name: str) -> None:
        """End every running copy of the function whose name contains this, as a deployment does."""
        found = [
            one["FunctionName"]
            for page in self.deployed.session.client("lambda").get_paginator("list_functions").paginate()
            for one in page["Functions"]
            if name in one["FunctionName"]
        ]
        (function,) = found
        self.deployed.session.client("lambda").update_function_configuration(
            FunctionName=function, Description=f"restarted at {time.time_ns()}"
        )


def new_key(deployed: Deployed, tenant_id: str | None, role: Role = Role.PRODUCER, agent_id: str | None = None) -> str:
    """A new API key, as its holder has it; an agent's is of the default pool."""
    key_id, secret = secrets.token_hex(8), secrets.token_hex(32)
    key = AccessKey(
        key_id=key_id,
        kind=KeyKind.API,
        role=role,
        tenant_id=tenant_id,
        secret_digest=secret_digest(secret),
        created_at_ms=time.time_ns() // 1_000_000,
        pool=None if agent_id is None else DEFAULT_POOL,
        agent_id=agent_id,
    )
    add_key(deployed.store, key)
    return api_key_text(key_id, secret)


@contextmanager
def deployed_api(work_dir: Path, **context: ContextValue) -> Iterator[ApiDeployed]:
    """A deployment for the length of a block, its logs and outputs in `work_dir`; or the one at `AWS_ENDPOINT_URL`, as
    `pushlane up --api` leaves it. `context`: further flags of the CDK app.
    """
    with deployment_of(work_dir, {**LOCAL_CONTEXT, "api": True, **context}) as deployed, _callable(deployed) as found:
        yield found


@contextmanager
def _callable(deployed: Deployed) -> Iterator[ApiDeployed]:
    installation = deployed.installation
    assert installation.http_url is not None
    assert installation.web_socket_url is not None
    key = new_key(deployed, TENANT)
    with httpx.Client(base_url=installation.http_url, headers={"authorization": f"Bearer {key}"}, timeout=30) as http:
        yield ApiDeployed(deployed, installation.http_url, installation.web_socket_url, key, http)
