"""Dispatches to functions and topics: which are sent again, which are named, and what is too large for either."""

from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from pushlane.aws.backoff import Backoff
from pushlane.aws.dispatching import FunctionInvoker, TopicPublisher
from pushlane.ports import Message

FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:f"
TOPIC = "arn:aws:sns:us-east-1:000000000000:t"
NO_PAUSE = Backoff(sends_max=2, sleep=lambda _: None)


def client(service: Any) -> Any:
    return boto3.client(
        service,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )


def invocation(body: str) -> dict[str, Any]:
    return {"FunctionName": FUNCTION, "InvocationType": "Event", "Payload": body.encode()}


def test_each_dispatch_is_an_asynchronous_invocation_of_its_own() -> None:
    made = client("lambda")
    with Stubber(made) as stubber:
        for body in ("a", "b"):
            stubber.add_response("invoke", {"StatusCode": 202}, invocation(body))
        assert FunctionInvoker(made, backoff=NO_PAUSE).send(FUNCTION, [Message("a"), Message("b")]) == []
        stubber.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("code", "status", "sends"), [("TooManyRequestsException", 429, 2), ("ServiceException", 500, 2)]
)
def test_a_busy_function_is_asked_again_and_then_named(code: str, status: int, sends: int) -> None:
    made = client("lambda")
    with Stubber(made) as stubber:
        stubber.add_response("invoke", {"StatusCode": 202}, invocation("a"))
        for _ in range(sends):
            stubber.add_client_error("invoke", code, http_status_code=status, expected_params=invocation("b"))
        assert FunctionInvoker(made, backoff=NO_PAUSE).send(FUNCTION, [Message("a"), Message("b")]) == [1]
        stubber.assert_no_pending_responses()


def test_a_function_that_is_gone_is_not_asked_again() -> None:
    made = client("lambda")
    with Stubber(made) as stubber:
        stubber.add_client_error("invoke", "ResourceNotFoundException", http_status_code=404)
        assert FunctionInvoker(made, backoff=NO_PAUSE).send(FUNCTION, [Message("a")]) == [0]
        stubber.assert_no_pending_responses()


@pytest.mark.parametrize(("kind", "limit"), [(FunctionInvoker, 1_048_576), (TopicPublisher, 262_144)])
def test_what_is_too_large_is_named_without_a_call(kind: Any, limit: int) -> None:
    made = client("lambda" if kind is FunctionInvoker else "sns")
    with Stubber(made):
        assert kind(made, backoff=NO_PAUSE).send("target", [Message("x" * (limit + 1))]) == [0]


def test_a_topic_takes_ten_at_once_and_failed_ones_again() -> None:
    def entries(*ids: int) -> dict[str, Any]:
        said = [{"Id": str(number), "Message": str(number)} for number in ids]
        return {"TopicArn": TOPIC, "PublishBatchRequestEntries": said}

    made = client("sns")
    with Stubber(made) as stubber:
        failed = [{"Id": "3", "Code": "X", "SenderFault": False}, {"Id": "4", "Code": "X", "SenderFault": True}]
        stubber.add_response("publish_batch", {"Successful": [], "Failed": failed}, entries(*range(10)))
        stubber.add_response("publish_batch", {"Successful": [], "Failed": []}, entries(10))
        stubber.add_response("publish_batch", {"Successful": [], "Failed": []}, entries(3))
        sender = TopicPublisher(made, backoff=NO_PAUSE)
        assert sender.send(TOPIC, [Message(str(number)) for number in range(11)]) == [4]
        stubber.assert_no_pending_responses()
