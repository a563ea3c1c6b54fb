"""What each function asks of AWS, counted at the client: calls are the cost and the latency.

The functions are wired as in Lambda, against moto. A call that is not in a function's table fails its test.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import msgspec
import pytest

from lambdas.registry.handler import handler as registry_handler
from lambdas.sweep.handler import handler as sweep_handler
from pushlane.agent import TaskContext, agent
from pushlane.model.events import Fact, FactData, FactMetadata, FactName
from pushlane.model.keyring import ring_of
from pushlane.router.lifecycle import timeline_messages
from pushlane.settings.environment import environment
from pushlane.settings.functions import (
    AgentSettings,
    LifecycleSettings,
    RegistrySettings,
    RouterSettings,
    StreamerSettings,
    SweepSettings,
)
from pushlane.testing import sqs_event, submit_envelope
from pushlane.wiring import clients
from pushlane.wiring.agents import lambda_handler
from pushlane.wiring.lifecycle import build_lifecycle
from pushlane.wiring.registry import build_registry
from pushlane.wiring.router import build_router
from pushlane.wiring.streamer import build_streamer
from pushlane.wiring.sweep import build_sweep
from tests.conformance.backends import create_tables, moto_backend

# Function -> what one happy-path task may cost it, warm.
INTAKE = {"Query": 1, "TransactWriteItems": 1, "SendMessageBatch": 1}
# The same within a second of the router's last turn on a pool in which nothing waits.
INTAKE_REMEMBERED = {"TransactWriteItems": 1, "SendMessageBatch": 1}
AGENT = {"UpdateItem": 2, "SendMessageBatch": 1}
RESULTS = {"Query": 2, "TransactWriteItems": 1}
LIFECYCLE = {"PutEvents": 1, "SendMessageBatch": 1}
LIFECYCLE_OF_AN_END = {"PutEvents": 1, "PublishBatch": 1, "SendMessageBatch": 1}
# A batch of the events queue: the heads of its tasks, and a transaction for each that has something new.
STREAMER = {"GetItem": 1, "TransactWriteItems": 1}
STREAMER_OF_SEVERAL = {"BatchGetItem": 1, "TransactWriteItems": 1}
# A log that begins with its task's acceptance is not looked for.
STREAMER_OF_A_NEW_TASK = {"TransactWriteItems": 1}
# Which feeds are open: once a second, where there can be any.
FEEDS_READ = {"GetItem": 1}
# However many tasks: the directory of tenants and the revision of the policy, each once a second.
TENANTS_READ = {"Query": 1}
POLICY_READ = {"GetItem": 1}
# Beside the task: those two, the wake-up once a lease, the key once a process.
COLD = {"Query": 1, "GetItem": 1, "SendMessageBatch": 1, "GetSecretValue": 1}
# A parked task reads its lane and its tenant's account and, having parked, looks for capacity once more.
PARKED = {"Query": 2, "BatchGetItem": 1, "TransactWriteItems": 1}
# Registering an agent: its entry, its pool's, and a turn for who may have waited for it.
REGISTRATION = {"UpdateItem": 2, "SendMessageBatch": 1}
# With nothing to do: the pools, what is due (4 partitions of attempts, the retries), the pool, the repair's count, and
# the policy. And the sample of the pool: the pools, the pool, its attempts; and its one write.
IDLE_SWEEP = {"Query": 1 + 5 + 1 + 5 + 1 + (1 + 1 + 4), "GetItem": 1, "PutItem": 1}
# What was measured of the changes of one tenant and tier; and once a day and process, that the tenant was measured.
MEASURED = {"UpdateItem": 1}


@dataclass
class Deployed:
    """The pieces that the functions need, in moto, and the calls since the last look."""

    queues: dict[str, str]
    tables: dict[str, str]
    calls: Counter[str] = field(default_factory=Counter)

    def counted(self) -> dict[str, int]:
        seen, self.calls = dict(self.calls), Counter()
        return seen


@agent(task_types=("echo",))
def echo(_ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"said": payload.get("say")}


class Invocation:
    """What Lambda hands to a handler beside the event."""

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with moto_backend() as backend:
        _forget_everything_built()
        tables = {table.value: name for table, name in create_tables(backend.client("dynamodb")).items()}
        sqs = backend.client("sqs")
        queues = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("agent", "results", "wakeups", "bad")}
        queues["events"] = sqs.create_queue(QueueName="e.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
        secret = backend.client("secretsmanager").create_secret(Name="key", SecretString="x" * 64)["ARN"]
        bus = backend.client("events").create_event_bus(Name="facts")["EventBusArn"].rpartition("/")[2]
        topic = backend.client("sns").create_topic(Name="announcements")["TopicArn"]
        beside = ("events", "connections", "measures")
        named = {f"{name}_table": table for name, table in tables.items() if name not in beside}
        turns = {**named, "stage": "local", "claims_bucket": "claims", "wakeups_queue_url": queues["wakeups"]}
        turns["outbound_queue_url"] = ""
        for settings in (
            RouterSettings(
                **turns,
                results_queue_arn="results",
                wakeups_queue_arn="wakeups",
                held_queue_arn="held",
                held_queue_url="held",
                quarantine_queue_url=queues["bad"],
                signing_secret_arn=secret,
                accept_unsigned_tenant=True,
                tenant_doors="",
            ),
            SweepSettings(**turns, signing_secret_arn=secret, measures_table=tables["measures"]),
            LifecycleSettings(
                stage="local",
                tasks_table=tables["tasks"],
                attempts_table=tables["attempts"],
                facts_bus_name=bus,
                announcements_topic_arn=topic,
                events_queue_url=queues["events"],
                quarantine_queue_url=queues["bad"],
                signing_secret_arn=secret,
                measures_table=tables["measures"],
            ),
            StreamerSettings(
                stage="local",
                tasks_table=tables["tasks"],
                events_table=tables["events"],
                events_queue_url=queues["events"],
                signing_secret_arn=secret,
                retention_seconds=60,
                connections_table="",
            ),
            RegistrySettings(scheduler_table=tables["scheduler"], wakeups_queue_url=queues["wakeups"]),
            AgentSettings(
                stage="local",
                agent_id="one",
                attempts_table=tables["attempts"],
                results_queue_url=queues["results"],
                events_queue_url=queues["events"],
                intake_queue_urls="intake",
                claims_bucket="claims",
            ),
        ):
            for variable, value in environment(settings).items():
                monkeypatch.setenv(variable, value)
        _register(backend.client("dynamodb"), tables, queues["agent"])
        deployed = Deployed(queues, tables)
        _count_calls(deployed)
        yield deployed
        _forget_everything_built()


def _forget_everything_built() -> None:
    for cached in (build_router, build_sweep, build_lifecycle, build_streamer, build_registry):
        cached.cache_clear()
    for make in (clients.dynamodb, clients.sqs, clients.events, clients.sns, clients.s3, clients.secretsmanager):
        make.cache_clear()


def _count_calls(deployed: Deployed) -> None:
    def count(model: Any, **_: Any) -> None:
        deployed.calls[model.name] += 1

    for make in (clients.dynamodb, clients.sqs, clients.events, clients.sns, clients.s3, clients.secretsmanager):
        make().meta.events.register("before-call", count)


def _register(dynamodb: Any, tables: Mapping[str, str], queue_url: str) -> None:
    agent_item = {
        "pk": {"S": "POOL#default"},
        "sk": {"S": "AGENT#one"},
        "agent_id": {"S": "one"},
        "pool": {"S": "default"},
        "capabilities": {"L": [{"S": "echo"}]},
        "slots": {"N": "2"},
        "queue_url": {"S": queue_url},
        "used": {"N": "0"},
        "status": {"S": "ACTIVE"},
        "revision": {"N": "0"},
    }
    dynamodb.put_item(TableName=tables["scheduler"], Item=agent_item)
    pool = {"pk": {"S": "POOLS"}, "sk": {"S": "default"}, "pool": {"S": "default"}}
    dynamodb.put_item(TableName=tables["scheduler"], Item=pool)
    tenant = {"pk": {"S": "TENANTS"}, "sk": {"S": "atlas"}, "status": {"S": "active"}}
    dynamodb.put_item(TableName=tables["config"], Item=tenant)


def intake(*numbers: int) -> dict[str, Any]:
    bodies = [(f"m{n}", msgspec.json.encode(submit_envelope(payload={"say": n})).decode()) for n in numbers]
    return sqs_event("intake", bodies)


def deliver(deployed: Deployed, queue: str) -> dict[str, Any]:
    sqs = boto3.client("sqs")
    messages = sqs.receive_message(QueueUrl=deployed.queues[queue], MaxNumberOfMessages=10).get("Messages", [])
    for message in messages:
        sqs.delete_message(QueueUrl=deployed.queues[queue], ReceiptHandle=message["ReceiptHandle"])
    return sqs_event(queue, [(message["MessageId"], message["Body"]) for message in messages])


def test_a_happy_path_task_costs_two_transactions_two_updates_two_sends_and_five_reads(deployed: Deployed) -> None:
    run = lambda_handler(echo)
    router = build_router()
    router.handle(intake(0))
    assert deployed.counted() == dict(Counter(INTAKE) + Counter(COLD))
    run(deliver(deployed, "agent"), Invocation())
    deployed.counted()

    forget_the_pool()
    router.handle(intake(1))
    intake_calls = deployed.counted()
    run(deliver(deployed, "agent"), Invocation())
    agent_calls = deployed.counted()
    nudges = deliver(deployed, "results")
    router.handle({"Records": nudges["Records"][-1:]})
    results_calls = deployed.counted()

    assert agent_calls == AGENT
    assert intake_calls in within_or_past_the_second(INTAKE)
    assert results_calls in within_or_past_the_second(RESULTS)
    total = Counter(INTAKE) + Counter(AGENT) + Counter(RESULTS)
    assert set(total) <= {"TransactWriteItems", "UpdateItem", "SendMessageBatch", "Query"}
    # A single task in its second pays for what the second costs.
    alone = total + Counter(TENANTS_READ) + Counter(POLICY_READ)
    assert (alone["TransactWriteItems"], alone["UpdateItem"], alone["SendMessageBatch"]) == (2, 2, 2)
    assert alone["Query"] + alone["GetItem"] + alone["BatchGetItem"] == 5


def within_or_past_the_second(calls: Mapping[str, int]) -> list[dict[str, int]]:
    """What a call may cost: the machine may be slow enough that the second is over."""
    mores = (Counter[str](), Counter(TENANTS_READ), Counter(POLICY_READ), Counter(TENANTS_READ) + Counter(POLICY_READ))
    return [dict(Counter(calls) + more) for more in mores]


def forget_the_pool() -> None:
    build_router()._ports.turn.remembered.forget("default")


def test_a_batch_of_ten_costs_what_one_does(deployed: Deployed) -> None:
    build_router().handle(intake(0))
    deployed.counted()
    build_router().handle(intake(1))
    one = deployed.counted()
    run = lambda_handler(echo)
    batch = deliver(deployed, "agent")
    for record in batch["Records"]:
        run({"Records": [record]}, Invocation())
    deployed.counted()
    build_router().handle(deliver(deployed, "results"))
    assert deployed.counted() in within_or_past_the_second(RESULTS)
    assert one in within_or_past_the_second(INTAKE_REMEMBERED)


def test_a_parked_task_costs_its_lane_and_one_more_look(deployed: Deployed) -> None:
    build_router().handle(intake(0, 1))
    deployed.counted()
    build_router().handle(intake(2))
    assert deployed.counted() in within_or_past_the_second(PARKED)


def test_an_idle_sweep_reads_and_keeps_one_sample(deployed: Deployed) -> None:
    event = json.loads((Path(__file__).resolve().parents[2] / "events" / "scheduler.json").read_text())
    assert sweep_handler(event, Invocation()) == {
        "pools": 1,
        "due": 0,
        "repaired": 0,
        "schedules_settled": 0,
        "failed": (),
    }
    assert deployed.counted() == IDLE_SWEEP


def test_a_registration_writes_its_entry_and_wakes_its_pool(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[bytes] = []
    monkeypatch.setattr("pushlane.wiring.registry.put", lambda _url, body: answers.append(body))
    properties = {"AgentId": "two", "Capabilities": ["echo"], "Slots": "2", "QueueUrl": deployed.queues["agent"]}
    ids = {"StackId": "s", "RequestId": "r", "LogicalResourceId": "l", "ResponseURL": "https://answer"}
    registry_handler({"RequestType": "Create", "ResourceProperties": properties, **ids}, Invocation())
    assert json.loads(answers[0])["Status"] == "SUCCESS"
    assert deployed.counted() == REGISTRATION


def test_the_lifecycle_publishes_a_batch_in_one_call_each(deployed: Deployed) -> None:
    build_router().handle(intake(0))
    deployed.counted()
    dynamodb = boto3.client("dynamodb")
    items = dynamodb.scan(TableName=deployed.tables["tasks"])["Items"]
    arn = f"arn:aws:dynamodb:us-east-1:000000000000:table/{deployed.tables['tasks']}/stream/1"
    records: list[dict[str, Any]] = [
        {"eventSourceARN": arn, "dynamodb": {"Keys": {"pk": i["pk"], "sk": i["sk"]}, "NewImage": i}} for i in items
    ]
    assert build_lifecycle()({"Records": records}) == 2
    assert deployed.counted() == {**LIFECYCLE, "GetSecretValue": 1}
    assert build_lifecycle()({"Records": records}) == 2
    assert deployed.counted() == LIFECYCLE
    ended = {"status": {"S": "SUCCEEDED"}, "ended_at_ms": {"N": "1"}, "result": {"S": "{}"}}
    for record in records:
        record["dynamodb"]["OldImage"] = record["dynamodb"]["NewImage"]
        record["dynamodb"]["NewImage"] = {**record["dynamodb"]["NewImage"], **ended}
    assert build_lifecycle()({"Records": records}) == 1
    assert deployed.counted() == {**LIFECYCLE_OF_AN_END, "UpdateItem": 2}
    assert build_lifecycle()({"Records": records}) == 1
    assert deployed.counted() == LIFECYCLE_OF_AN_END | MEASURED


def test_the_streamer_records_a_task_in_a_read_and_a_transaction(deployed: Deployed) -> None:
    facts = [
        Fact(
            metadata=FactMetadata(name=name, fact_id=f"{name}-{task_id}", occurred_at_ms=1),
            data=FactData(tenant_id="atlas", task_id=task_id),
        )
        for name, task_id in (
            (FactName.TASK_PARKED, "t-1"),
            (FactName.TASK_STARTED, "t-1"),
            (FactName.TASK_PARKED, "t-2"),
            (FactName.TASK_ACCEPTED, "t-3"),
        )
    ]
    messages = [(f"m{n}", one.body) for n, one in enumerate(timeline_messages(facts, lambda: ring_of(b"x" * 64)))]
    nothing_again: dict[str, Any] = {"batchItemFailures": []}
    assert build_streamer().handle(sqs_event("events", messages[:1])) == nothing_again
    assert deployed.counted() == {**STREAMER, "GetSecretValue": 1}
    assert build_streamer().handle(sqs_event("events", messages[:2])) == nothing_again
    assert deployed.counted() == STREAMER
    assert build_streamer().handle(sqs_event("events", messages[:3])) == nothing_again
    assert deployed.counted() == STREAMER_OF_SEVERAL
    assert build_streamer().handle(sqs_event("events", messages[3:])) == nothing_again
    assert deployed.counted() == STREAMER_OF_A_NEW_TASK


def test_that_somebody_could_be_watching_costs_the_streamer_a_look_a_batch(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUSHLANE_CONNECTIONS_TABLE", deployed.tables["connections"])
    emits = [
        Fact(
            metadata=FactMetadata(name=FactName.TASK_STARTED, fact_id=f"{number}", occurred_at_ms=1),
            data=FactData(tenant_id="atlas", task_id=f"t-{number % 2}"),
        )
        for number in range(4)
    ]
    messages = [(f"m{n}", one.body) for n, one in enumerate(timeline_messages(emits, lambda: ring_of(b"x" * 64)))]
    build_streamer().handle(sqs_event("events", messages[:2]))
    assert deployed.counted() == {"BatchGetItem": 2, "TransactWriteItems": 1, **FEEDS_READ, "GetSecretValue": 1}
    build_streamer().handle(sqs_event("events", messages[2:]))
    assert deployed.counted() == {"BatchGetItem": 2, "TransactWriteItems": 1}
