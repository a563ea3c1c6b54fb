"""Callbacks and hooks as deployed: a receiver of the test's own hears of the end, a signed delivery becomes a task."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from pushlane.model.principal import Role
from pushlane.model.webhook_signature import secret_of, signature_headers, verified_id
from tests.e2e.api_deployment import TENANT, ApiDeployed, new_key
from tests.e2e.conftest import eventually

pytestmark = pytest.mark.e2e


class Receiver:
    """Listens on this machine. `answers`: the statuses of the first deliveries; then 204."""

    def __init__(self) -> None:
        self.heard: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.heard.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(outer.answers.pop(0) if outer.answers else 204)
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                """Nothing is said."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/done"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def operator(api: ApiDeployed) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {new_key(api.deployed, TENANT, Role.OPERATOR)}"}
    with httpx.Client(base_url=api.http_url, headers=headers, timeout=30) as client:
        yield client


def test_the_end_of_a_task_is_told_signed_and_told_again_until_it_is_taken(
    api: ApiDeployed, operator: httpx.Client, receiver: Receiver
) -> None:
    made = operator.post("/v1/callbacks/rotate", json={"overlap_seconds": 0})
    assert made.status_code == 200, made.text
    receiver.answers = [500]
    task_id = api.submit({"do": "tell", "steps": 1, "seconds": 0, "value": "done"}, callback={"url": receiver.url})
    eventually(lambda: len(receiver.heard) >= 2, "the callback is delivered a second time", 60)
    first, second = receiver.heard[:2]
    assert (first[0]["webhook-id"], first[1]) == (second[0]["webhook-id"], second[1])
    verified_id([secret_of(made.json()["secret"])], second[0], second[1], int(time.time()))
    told = json.loads(second[1])
    assert (told["type"], told["data"]["task_id"]) == ("TaskSucceeded", task_id)
    assert told["data"]["result"]


def test_a_signed_delivery_becomes_a_task_once(api: ApiDeployed, operator: httpx.Client) -> None:
    template: dict[str, Any] = {"task_type": "chaos", "payload": {"do": "tell", "steps": 1, "value": {"$": "body.n"}}}
    said = {"name": "e2e", "scheme": "standard-webhooks", "template": template, "sample": {"body": {"n": "x"}}}
    made = operator.post("/v1/hooks", json=said)
    assert made.status_code == 201, made.text
    hook, raw = made.json(), b'{"n": "seven"}'
    headers = signature_headers([secret_of(hook["secret"])], "msg_1", int(time.time()), raw)
    first, again = (httpx.post(api.http_url + hook["path"], content=raw, headers=headers, timeout=30) for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json() == again.json()
    wrong = httpx.post(api.http_url + hook["path"], content=raw + b" ", headers=headers, timeout=30)
    unknown = httpx.post(f"{api.http_url}/v1/hooks/hk-nobody", content=raw, headers=headers, timeout=30)
    assert (wrong.status_code, unknown.status_code) == (401, 401)
    assert wrong.json()["detail"] == unknown.json()["detail"]
