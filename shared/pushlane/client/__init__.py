"""SDK for producers: submit tasks through any door, wait for them, read their results.

    from pushlane.client import AwsClients, Client, Installation

    session = boto3.Session()
    installation = Installation.from_cloudformation("dev", session.client("cloudformation"))
    client = Client(installation, AwsClients.of(session))
    submitted = client.submit({"tenant_id": "atlas", "task_type": "extract", "payload": {...}}, door="eventbridge")
    done = client.wait([submitted.task_id], timeout_seconds=60)
    print(client.result(done[submitted.task_id]))

Needs the extra `aws`.
"""

from pushlane.client.aws_clients import AwsClients
from pushlane.client.errors import (
    InvalidSubmission,
    NotInstalled,
    ResultUnavailable,
    StillRunning,
    SubmissionRefused,
    TaskUnknown,
)
from pushlane.client.installation import Installation
from pushlane.client.producer import Batch, Client, Refused, Submitted
from pushlane.client.records import TaskRecord
from pushlane.client.why import Why
from pushlane.model.events import SubmitData

__all__ = [
    "AwsClients",
    "Batch",
    "Client",
    "Installation",
    "InvalidSubmission",
    "NotInstalled",
    "Refused",
    "ResultUnavailable",
    "StillRunning",
    "SubmissionRefused",
    "SubmitData",
    "Submitted",
    "TaskRecord",
    "TaskUnknown",
    "Why",
]
