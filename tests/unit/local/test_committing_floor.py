"""The committing floor's functions, over moto: they do what a dispatcher cannot do without, and no more."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from pushlane.local.committing_floor import COMMIT_AND_ANSWER, COMMIT_AND_FORWARD, HEAR, START_AND_NOTE_TIME

REGION = "us-east-1"
BODY = json.dumps({"detail": {"sample": "s"}})


@pytest.fixture
def next_queue_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A table of the name `floor`, and the queue behind it."""
    for name, value in (
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", "testing"),
        ("AWS_SECRET_ACCESS_KEY", "testing"),
        ("TABLE", "floor"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        boto3.client("dynamodb").create_table(
            TableName="floor",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        url = boto3.client("sqs").create_queue(QueueName="next")["QueueUrl"]
        monkeypatch.setenv("NEXT_QUEUE_URL", url)
        yield url


def run(code: str, event: dict[str, Any]) -> Any:
    scope: dict[str, Any] = {}
    exec(compile(code, "index.py", "exec"), scope)
    return scope["handler"](event, SimpleNamespace(aws_request_id="call-1"))


def stored(key: str) -> dict[str, Any]:
    return dict(boto3.client("dynamodb").get_item(TableName="floor", Key={"pk": {"S": key}}).get("Item", {}))


@pytest.mark.parametrize(
    ("code", "event"), [(COMMIT_AND_FORWARD, {"Records": [{"body": BODY}]}), (COMMIT_AND_ANSWER, {"body": BODY})]
)
def test_it_commits_and_forwards_once(next_queue_url: str, code: str, event: dict[str, Any]) -> None:
    run(code, event)
    assert stored("s#task")
    assert stored("s#attempt")
    assert (stored("free")["used"], stored("account")["used"]) == ({"N": "1"}, {"N": "1"})
    [message] = boto3.client("sqs").receive_message(QueueUrl=next_queue_url)["Messages"]
    assert message["Body"] == BODY
    with pytest.raises(ClientError, match="TransactionCanceled"):
        run(code, event)


def test_it_starts_what_was_committed_once_and_takes_the_time(next_queue_url: str) -> None:
    event = {"Records": [{"body": BODY}]}
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        run(START_AND_NOTE_TIME, event)
    run(COMMIT_AND_FORWARD, event)
    run(START_AND_NOTE_TIME, event)
    assert int(stored("s")["ran_at_ms"]["N"]) > 1_700_000_000_000
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        run(START_AND_NOTE_TIME, event)


def test_the_consumer_of_the_stream_says_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    run(HEAR, {"Records": []})
    assert capsys.readouterr().out == "heard\n"
