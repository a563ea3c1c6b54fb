"""The floors of pickup latency: the hops of Pushlane with functions that do nothing, or only what must be done.

EventBridge -> SQS -> Lambda -> SQS -> Lambda. The first function only forwards, the second takes the time before
anything else and reports it afterwards in a table, where the sampler finds it. What Pushlane adds is the difference.
The committing floor makes the calls that a dispatcher cannot do without: `pushlane.local.committing_floor`.
"""

import io
import json
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from pushlane.local.committing_floor import COMMIT_AND_FORWARD, HEAR, START_AND_NOTE_TIME

if TYPE_CHECKING:
    from boto3.session import Session
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient

DETAIL_TYPE: Final = "Floor"
_RUNTIME: Final = "python3.13"
_TIMEOUT_SECONDS: Final = 30
_ROLE_ARN: Final = "arn:aws:iam::000000000000:role/pushlane-floor"

# Like Pushlane's own functions, both print a line: a silent one is slower on the embedded emulator.
FORWARD: Final = """
import os, boto3
sqs = boto3.client("sqs")

def handler(event, context):
    for record in event["Records"]:
        sqs.send_message(QueueUrl=os.environ["NEXT_QUEUE_URL"], MessageBody=record["body"])
    print("forwarded")
"""
NOTE_TIME: Final = """
import time
import json, os, boto3
dynamodb = boto3.client("dynamodb")

def handler(event, context):
    ran_at_ms = time.time_ns() // 1_000_000
    for record in event["Records"]:
        sample = json.loads(record["body"])["detail"]["sample"]
        item = {"pk": {"S": sample}, "ran_at_ms": {"N": str(ran_at_ms)}}
        dynamodb.put_item(TableName=os.environ["TABLE"], Item=item)
    print("noted")
"""


class Floor:
    """A deployed floor: send a sample, ask when it ran."""

    def __init__(self, events: "EventBridgeClient", dynamodb: "DynamoDBClient", name: str) -> None:
        self._events = events
        self._dynamodb = dynamodb
        self._name = name

    def send(self) -> tuple[str, int]:
        """Put one event; returns its sample id and when the bus said yes (Unix ms)."""
        sample = uuid.uuid4().hex
        detail = json.dumps({"sample": sample})
        source = {"EventBusName": self._name, "Source": "pushlane.floor", "DetailType": DETAIL_TYPE}
        entry: Any = {**source, "Detail": detail}
        answer = self._events.put_events(Entries=[entry])
        returned_at_ms = time.time_ns() // 1_000_000
        if answer["FailedEntryCount"]:
            raise RuntimeError(f"the floor's bus refused a sample: {answer['Entries']}")
        return sample, returned_at_ms

    def ran_at_ms(self, sample: str) -> int | None:
        """When the second function took the time for the sample; None if it has not yet."""
        return ran_at_ms(self._dynamodb, self._name, sample)


def ran_at_ms(dynamodb: "DynamoDBClient", table: str, sample: str) -> int | None:
    """What `NOTE_TIME` has noted of a sample."""
    found = dynamodb.get_item(TableName=table, Key={"pk": {"S": sample}}, ConsistentRead=True)
    return int(found["Item"]["ran_at_ms"]["N"]) if "Item" in found else None


@contextmanager
def deployed_floor(session: "Session") -> Iterator[Floor]:
    """Deploy the floor beside Pushlane (local backends: the role is a name only) and remove it afterwards."""
    name = f"pushlane-floor-{uuid.uuid4().hex[:8]}"
    with ExitStack() as undo:
        yield _BusFloor(session, name, undo).deploy()


@contextmanager
def deployed_committing_floor(session: "Session") -> Iterator[Floor]:
    """The same for the committing floor."""
    name = f"pushlane-committing-{uuid.uuid4().hex[:8]}"
    with ExitStack() as undo:
        yield _BusFloor(session, name, undo).deploy_committing()


class FloorParts:
    """Creates each part and notes at once how to remove it, so a failure half-way leaves nothing."""

    def __init__(self, session: "Session", name: str, undo: ExitStack) -> None:
        self._dynamodb: DynamoDBClient = session.client("dynamodb")
        self._lambda: LambdaClient = session.client("lambda")
        self._sqs: SQSClient = session.client("sqs")
        self._events: EventBridgeClient = session.client("events")
        self._name = name
        self._undo = undo

    def _table(self) -> None:
        self._new_table({"StreamEnabled": False})

    def _streamed_table(self) -> str:
        """The ARN of its stream."""
        table = self._new_table({"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})
        return str(table["LatestStreamArn"])

    def _new_table(self, stream: Any) -> Any:
        created = self._dynamodb.create_table(
            TableName=self._name,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification=stream,
        )
        self._later(lambda: self._dynamodb.delete_table(TableName=self._name))
        self._dynamodb.get_waiter("table_exists").wait(TableName=self._name, WaiterConfig={"Delay": 1})
        return created["TableDescription"]

    def _queue(self, place: str) -> tuple[str, str]:
        visibility: Any = {"VisibilityTimeout": str(6 * _TIMEOUT_SECONDS)}
        url = self._sqs.create_queue(QueueName=f"{self._name}-{place}", Attributes=visibility)["QueueUrl"]
        self._later(lambda: self._sqs.delete_queue(QueueUrl=url))
        return url, self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def _function(self, place: str, code: str, environment: dict[str, str]) -> str:
        """Its ARN."""
        name = f"{self._name}-{place}"
        created = self._lambda.create_function(
            FunctionName=name,
            Runtime=_RUNTIME,
            Handler="index.handler",
            Role=_ROLE_ARN,
            Code={"ZipFile": _zipped(code)},
            Timeout=_TIMEOUT_SECONDS,
            MemorySize=1024,
            Environment={"Variables": environment | {"AWS_ENDPOINT_URL": self._lambda.meta.endpoint_url}},
        )
        self._later(lambda: self._lambda.delete_function(FunctionName=name))
        return created["FunctionArn"]

    def _consume(self, function_arn: str, queue_arn: str, batch: int) -> None:
        mapping = self._lambda.create_event_source_mapping(
            FunctionName=function_arn,
            EventSourceArn=queue_arn,
            BatchSize=batch,
            FunctionResponseTypes=["ReportBatchItemFailures"],
        )
        self._later(lambda: self._lambda.delete_event_source_mapping(UUID=mapping["UUID"]))

    def _hear(self, stream_arn: str) -> None:
        """A consumer of the stream that is told of new items, as Pushlane's is of what it keeps, and does nothing."""
        committed = json.dumps({"eventName": ["INSERT"]})
        mapping = self._lambda.create_event_source_mapping(
            FunctionName=self._function("hear", HEAR, {}),
            EventSourceArn=stream_arn,
            BatchSize=100,
            StartingPosition="TRIM_HORIZON",
            FilterCriteria={"Filters": [{"Pattern": committed}]},
        )
        self._later(lambda: self._lambda.delete_event_source_mapping(UUID=mapping["UUID"]))

    def _bus(self, queue_url: str, queue_arn: str) -> None:
        self._events.create_event_bus(Name=self._name)
        self._later(lambda: self._events.delete_event_bus(Name=self._name))
        pattern = json.dumps({"detail-type": [DETAIL_TYPE]})
        self._events.put_rule(Name=self._name, EventBusName=self._name, EventPattern=pattern)
        self._later(lambda: self._events.delete_rule(Name=self._name, EventBusName=self._name))
        target: Any = {"Id": "first", "Arn": queue_arn}
        self._events.put_targets(Rule=self._name, EventBusName=self._name, Targets=[target])
        self._later(lambda: self._events.remove_targets(Rule=self._name, EventBusName=self._name, Ids=["first"]))

    def _later(self, remove: Callable[[], object]) -> None:
        self._undo.callback(_tolerant, remove)


class _BusFloor(FloorParts):
    def deploy(self) -> Floor:
        """Back to front, so that nothing is sent to what is not there yet."""
        self._table()
        second_url, second_arn = self._queue("second")
        first_url, first_arn = self._queue("first")
        self._consume(self._function("note", NOTE_TIME, {"TABLE": self._name}), second_arn, batch=1)
        self._consume(self._function("forward", FORWARD, {"NEXT_QUEUE_URL": second_url}), first_arn, batch=10)
        self._bus(first_url, first_arn)
        return Floor(self._events, self._dynamodb, self._name)

    def deploy_committing(self) -> Floor:
        """Back to front, too."""
        self._hear(self._streamed_table())
        second_url, second_arn = self._queue("second")
        first_url, first_arn = self._queue("first")
        self._consume(self._function("start", START_AND_NOTE_TIME, {"TABLE": self._name}), second_arn, batch=1)
        commit = {"TABLE": self._name, "NEXT_QUEUE_URL": second_url}
        self._consume(self._function("commit", COMMIT_AND_FORWARD, commit), first_arn, batch=10)
        self._bus(first_url, first_arn)
        return Floor(self._events, self._dynamodb, self._name)


def _tolerant(remove: Callable[[], object]) -> None:
    """A part that is gone already, or that the backend cannot remove, must not keep the others."""
    try:
        remove()
    except ClientError:
        return


def _zipped(code: str) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("index.py", code)
    return archive.getvalue()
