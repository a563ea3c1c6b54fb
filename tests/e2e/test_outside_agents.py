"""Agents outside Lambda, over the deployed API: one that claims, one behind a URL, one on a WebSocket connection."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from websockets.sync.client import connect

from pushlane.agent import TaskContext, agent
from pushlane.agent.http import HttpAgentRuntime, PushedAgent, Transport, Worker
from pushlane.model.principal import Role
from pushlane.model.task import Status
from tests.e2e.api_deployment import ApiDeployed, new_key
from tests.e2e.conftest import eventually

pytestmark = pytest.mark.e2e
TASKS = 3


@agent(task_types=("outside",))
def outside(ctx: TaskContext, payload: Mapping[str, Any]) -> dict[str, Any]:
    ctx.checkpoint({"half": payload["n"]})
    ctx.emit("said", {"n": payload["n"]})
    return {"n": payload["n"], "attempt": ctx.attempt}


class Outside:
    """One registered agent and the calls that it makes."""

    def __init__(self, api: ApiDeployed, kind: str, target: str = "") -> None:
        self.agent_id = f"outside-{kind}-{uuid4().hex[:6]}"
        self.key = new_key(api.deployed, None, Role.AGENT, self.agent_id)
        self.calls = Transport(api.http_url, self.key)
        said = {"capabilities": [self.agent_id], "slots": 2, "endpoint": {"kind": kind, "target": target}}
        self.secret = self.calls.put(f"/v1/agents/{self.agent_id}", msgspec.json.encode(said)).get("signing_secret")
        self.runtime = HttpAgentRuntime(outside, self.calls)


def is_done(api: ApiDeployed, agent_id: str) -> None:
    """Tasks that only this agent can do are done by it, each in its first attempt, and told to who watches."""
    order = {"task_type": "outside", "capabilities": [agent_id]}
    ids = [api.submit({"n": number}, **order) for number in range(TASKS)]
    ended = api.deployed.client.wait(ids, timeout_seconds=60)
    assert {record.status for record in ended.values()} == {Status.SUCCEEDED}
    results = [api.deployed.client.result(ended[task_id]) for task_id in ids]
    assert results == [{"n": number, "attempt": 1} for number in range(TASKS)]
    eventually(lambda: "said" in [event.kind for event in api.logged(ids[0])], "what it emitted is in the log", 20)
    eventually(api.deployed.nothing_is_held, "every slot is free again", 20)


def test_an_agent_that_claims(api: ApiDeployed) -> None:
    one = Outside(api, "pull")
    worker = Worker(one.runtime, one.calls, one.agent_id, slots=2)
    threading.Thread(target=worker.run, daemon=True).start()
    try:
        is_done(api, one.agent_id)
    finally:
        worker.stop()


def test_an_agent_behind_a_url(api: ApiDeployed) -> None:
    with _server() as server:
        one = Outside(api, "https", f"http://127.0.0.1:{server.server_address[1]}/dispatch")
        server.agent = PushedAgent(one.runtime, [one.secret], slots=2)
        is_done(api, one.agent_id)
        # Whose slot the platform has freed may not have let go of it here yet: then the courier comes again.
        assert server.answers.count(202) == TASKS
        assert set(server.answers) <= {202, 503}


def test_an_agent_on_a_connection(api: ApiDeployed) -> None:
    one = Outside(api, "websocket")
    connection = connect(api.web_socket_url, additional_headers={"authorization": f"Bearer {one.key}"})
    with closing(connection):
        threading.Thread(target=_run_what_comes, args=(connection, one.runtime), daemon=True).start()
        is_done(api, one.agent_id)


class _Server(ThreadingHTTPServer):
    agent: PushedAgent
    answers: list[int]


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        answer = self.server.agent.handle(dict(self.headers), body)
        self.server.answers.append(answer.status)
        self.send_response(answer.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_said: Any) -> None:
        """Nothing: what it answered is kept."""


@contextmanager
def _server() -> Iterator[_Server]:
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.answers = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def _run_what_comes(connection: Any, runtime: HttpAgentRuntime) -> None:
    for frame in connection:
        said = msgspec.json.decode(frame)
        if said["type"] == "dispatch":
            runtime.run(msgspec.json.encode(said["dispatch"]))
