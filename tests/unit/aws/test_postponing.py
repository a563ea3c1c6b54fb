"""A message that comes again later: hidden by SQS, or after the queue's own time when SQS refuses."""

from typing import Any

import boto3
from botocore.stub import Stubber

from pushlane.aws.postponing import SqsPostponer

ARN = "arn:aws:sqs:us-east-1:000000000000:callbacks"
URL = "https://sqs.us-east-1.amazonaws.com/000000000000/callbacks"


def test_a_message_is_hidden_for_as_long_as_we_say_and_a_refusal_is_logged() -> None:
    client = boto3.client("sqs", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
    logged: list[dict[str, Any]] = []
    postponer = SqsPostponer(client, {ARN: URL}, lambda event, **fields: logged.append({"event": event, **fields}))
    said = {"QueueUrl": URL, "ReceiptHandle": "r", "VisibilityTimeout": 120}
    with Stubber(client) as stubber:
        stubber.add_response("change_message_visibility", {}, said)
        stubber.add_client_error("change_message_visibility", "ReceiptHandleIsInvalid", expected_params=said)
        for _ in range(2):
            postponer.postpone(ARN, "r", 120)
        stubber.assert_no_pending_responses()
    [refused] = logged
    assert (refused["event"], refused["error"]) == ("not-postponed", "ReceiptHandleIsInvalid")
