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
from pushlane.client.commands import Commanded
from pushlane.client.errors import (
    CommandRefused,
    InvalidSubmission,
    NotDead,
    NotInstalled,
    ResultUnavailable,
    StillRunning,
    SubmissionRefused,
    TaskUnknown,
    WorkflowUnknown,
)
from pushlane.client.installation import Installation
from pushlane.client.producer import Batch, Client, Refused, Submitted
from pushlane.client.records import TaskRecord
from pushlane.client.why import Why
from pushlane.client.workflow_builder import Workflow, even_without, skip_without
from pushlane.client.workflows import NodeRecord, SubmittedWorkflow, WorkflowRecord
from pushlane.model.events import SubmitData

__all__ = [
    "AwsClients",
    "Batch",
    "Client",
    "CommandRefused",
    "Commanded",
    "Installation",
    "InvalidSubmission",
    "NodeRecord",
    "NotDead",
    "NotInstalled",
    "Refused",
    "ResultUnavailable",
    "StillRunning",
    "SubmissionRefused",
    "SubmitData",
    "Submitted",
    "SubmittedWorkflow",
    "TaskRecord",
    "TaskUnknown",
    "Why",
    "Workflow",
    "WorkflowRecord",
    "WorkflowUnknown",
    "even_without",
    "skip_without",
]
