"""The HTTP API as Lambda runs it, against moto: a key of the config table, an agent's queue, what a task costs."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from lambdas.api.handler import handler
from pushlane.aws.dynamodb import DynamoItemStore
from pushlane.model.access_key import AccessKey, KeyKind, api_key_text, secret_digest
from pushlane.model.principal import Role
from pushlane.ports import Put, Scalar, Table
from pushlane.settings.edge import ApiSettings
from pushlane.settings.environment import environment
from pushlane.state import keys
from pushlane.state.access_keys import add_key
from pushlane.wiring import clients
from pushlane.wiring.api import build_api
from tests.conformance.backends import create_tables, moto_backend

SECRET = "5" * 64
KEY = api_key_text("apikey0001", SECRET)
# A task that an agent is free for, within a second of the turn before: its transaction, its push, and one look at it.
SUBMITTED = {"TransactWriteItems": 1, "SendMessageBatch": 1, "GetItem": 1}
# Once a second each: whose key, is its tenant active, who may submit, which policy; and the pool.
ONCE_A_SECOND = {"GetItem": 5, "Query": 2, "SendMessageBatch": 1}


@dataclass
class Deployed:
    """What the function needs, in moto, and the calls since the last look."""

    sqs: Any
    agent_queue: str
    calls: Counter[str] = field(default_factory=Counter)

    def counted(self) -> dict[str, int]:
        seen, self.calls = dict(self.calls), Counter()
        return seen


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with moto_backend() as backend:
        _forget_everything_built()
        dynamodb, sqs = backend.client("dynamodb"), backend.client("sqs")
        tables = create_tables(dynamodb)
        queues = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("agent", "wakeups")}
        secret = backend.client("secretsmanager").create_secret(Name="key", SecretString="x" * 64)["ARN"]
        for variable, value in environment(_settings(tables, queues["wakeups"], secret)).items():
            monkeypatch.setenv(variable, value)
        _fill(DynamoItemStore(dynamodb, tables), queues["agent"])
        deployed = Deployed(sqs, queues["agent"])
        for make in (clients.dynamodb, clients.sqs):
            make().meta.events.register("before-call", lambda model, **_: deployed.calls.update([model.name]))
        yield deployed
        _forget_everything_built()


def _forget_everything_built() -> None:
    for cached in (build_api, clients.dynamodb, clients.sqs, clients.s3, clients.secretsmanager):
        cached.cache_clear()


def _settings(tables: Mapping[Table, str], wakeups: str, secret: str) -> ApiSettings:
    named: dict[str, Any] = {f"{table.value}_table": name for table, name in tables.items()}
    return ApiSettings(
        stage="local",
        **named,
        claims_bucket="claims",
        results_queue_arn="results",
        results_queue_url="results",
        wakeups_queue_arn="wakeups",
        wakeups_queue_url=wakeups,
        held_queue_arn="held",
        held_queue_url="held",
        quarantine_queue_url="bad",
        events_queue_url="events",
        signing_secret_arn=secret,
        accept_unsigned_tenant=False,
        schedule_group="group",
        schedule_role_arn="role",
        schedule_dead_letters_arn="dead",
        tenant_doors="",
        outbound_queue_url="",
    )


def _fill(store: DynamoItemStore, agent_queue: str) -> None:
    agent: dict[str, Scalar] = {
        "agent_id": "one",
        "pool": "default",
        "capabilities": ["echo"],
        "slots": 9,
        "queue_url": agent_queue,
    }
    store.write(Put(keys.agent_key("default", "one"), {**agent, "used": 0, "status": "ACTIVE", "revision": 0}))
    store.write(Put(keys.pool_registration_key("default"), {"pool": "default"}))
    store.write(Put(keys.tenant_key("atlas"), {"tenant_id": "atlas", "status": "active"}))
    add_key(
        store,
        AccessKey(
            key_id="apikey0001",
            kind=KeyKind.API,
            role=Role.PRODUCER,
            created_at_ms=0,
            tenant_id="atlas",
            secret_digest=secret_digest(SECRET),
        ),
    )


def call(method: str, path: str, body: Any = None, credential: str = KEY) -> tuple[int, Any]:
    event = {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"authorization": f"Bearer {credential}"},
        "requestContext": {"http": {"method": method, "path": path}, "stage": "$default", "requestId": "r-1"},
        "body": None if body is None else json.dumps(body),
        "isBase64Encoded": False,
    }
    answer = handler(event, object())
    return answer["statusCode"], json.loads(answer["body"]) if answer.get("body") else None


def test_a_task_goes_from_the_request_to_its_agents_queue(deployed: Deployed) -> None:
    status, made = call("POST", "/v1/tasks", {"task_type": "echo", "payload": {"say": "hello"}})
    assert (status, made["status"], made["agent_id"]) == (202, "DISPATCHED", "one")
    [message] = deployed.sqs.receive_message(QueueUrl=deployed.agent_queue)["Messages"]
    assert json.loads(message["Body"])["task_id"] == made["task_id"]
    status, shown = call("GET", f"/v1/tasks/{made['task_id']}")
    assert (status, shown["door"]) == (200, "http")
    status, listed = call("GET", "/v1/tasks")
    assert (status, [one["task_id"] for one in listed["tasks"]]) == (200, [made["task_id"]])


def test_what_a_submission_costs(deployed: Deployed) -> None:
    for _ in range(2):
        call("POST", "/v1/tasks", {"task_type": "echo"})
    deployed.counted()
    status, _made = call("POST", "/v1/tasks", {"task_type": "echo"})
    cost = deployed.counted()
    assert status == 202
    # A slow machine takes more than the second for which the rest is remembered.
    assert cost["TransactWriteItems"] == 1
    assert all(count <= SUBMITTED.get(name, 0) + ONCE_A_SECOND.get(name, 0) for name, count in cost.items())


def test_a_refused_credential_is_a_problem(deployed: Deployed) -> None:
    status, problem = call("GET", "/v1/tasks", credential=api_key_text("apikey0001", "6" * 64))
    assert (status, problem["type"]) == (401, "urn:pushlane:problem:unauthenticated")
    assert deployed.counted().keys() <= {"GetItem"}
