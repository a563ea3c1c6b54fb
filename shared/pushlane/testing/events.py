"""Lambda events as AWS delivers them, and submissions as producers send them."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec


def submit_envelope(**data: Any) -> dict[str, Any]:
    """A `SubmitTask` envelope around `data`; without `tenant_id` and `task_type` they are `atlas` and `echo`."""
    named = {"tenant_id": "atlas", "task_type": "echo", **data}
    return {"metadata": {"name": "SubmitTask", "version": 1}, "data": named}


def sqs_event(
    queue_arn: str, messages: Sequence[tuple[str, str]], attributes: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """An SQS batch of (message id, body). `attributes`: what the queue says of each, as `SentTimestamp`."""
    return {"Records": [_sqs_record(queue_arn, message_id, body, attributes or {}) for message_id, body in messages]}


def _sqs_record(queue_arn: str, message_id: str, body: str, attributes: Mapping[str, str]) -> dict[str, Any]:
    return {
        "messageId": message_id,
        "receiptHandle": f"receipt-{message_id}",
        "body": body,
        "attributes": {"ApproximateReceiveCount": "1", **attributes},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": "us-east-1",
    }


def kinesis_event(
    stream_arn: str, records: Sequence[tuple[str, Mapping[str, Any] | bytes]], arrived_at_ms: int | None = None
) -> dict[str, Any]:
    """A Kinesis batch of (sequence number, envelope or raw bytes)."""
    return {"Records": [_kinesis_record(stream_arn, sequence, body, arrived_at_ms) for sequence, body in records]}


def _kinesis_record(
    stream_arn: str, sequence: str, body: Mapping[str, Any] | bytes, arrived_at_ms: int | None
) -> dict[str, Any]:
    arrived = {} if arrived_at_ms is None else {"approximateArrivalTimestamp": arrived_at_ms / 1_000}
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": "atlas",
            "sequenceNumber": sequence,
            "data": base64.b64encode(raw).decode(),
            **arrived,
        },
        "eventSource": "aws:kinesis",
        "eventID": f"shardId-000000000000:{sequence}",
        "eventName": "aws:kinesis:record",
        "eventSourceARN": stream_arn,
    }
