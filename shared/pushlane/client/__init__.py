"""SDK for producers: submit tasks through any door, wait for them, read their results.

    from pushlane.client import AwsClients, Client, Installation

    session = boto3.Session()
    installation = Installation.from_cloudformation("dev", session.client("cloudformation"))
    client = Client(installation, AwsClients.of(session))
    submitted = client.submit({"tenant_id": "atlas", "task_type": "extract", "payload": {...}}, door="eventbridge")
    done = client.wait([submitted.task_id], timeout_seconds=60)
    print(client.result(done[submitted.task_id]))

Needs the extra `aws`. Names are imported when they are used, because `pushlane.client.api`, the client over HTTP, needs
no AWS library.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
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
    from pushlane.client.workflow_records import NodeRecord, WorkflowRecord
    from pushlane.client.workflows import SubmittedWorkflow
    from pushlane.model.envelope_proof import EnvelopeKey
    from pushlane.model.events import SubmitData

__all__ = [
    "AwsClients",
    "Batch",
    "Client",
    "CommandRefused",
    "Commanded",
    "EnvelopeKey",
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

_PLACES: Final = {
    "AwsClients": "pushlane.client.aws_clients",
    "Batch": "pushlane.client.producer",
    "Client": "pushlane.client.producer",
    "CommandRefused": "pushlane.client.errors",
    "Commanded": "pushlane.client.commands",
    "EnvelopeKey": "pushlane.model.envelope_proof",
    "Installation": "pushlane.client.installation",
    "InvalidSubmission": "pushlane.client.errors",
    "NodeRecord": "pushlane.client.workflow_records",
    "NotDead": "pushlane.client.errors",
    "NotInstalled": "pushlane.client.errors",
    "Refused": "pushlane.client.producer",
    "ResultUnavailable": "pushlane.client.errors",
    "StillRunning": "pushlane.client.errors",
    "SubmissionRefused": "pushlane.client.errors",
    "SubmitData": "pushlane.model.events",
    "Submitted": "pushlane.client.producer",
    "SubmittedWorkflow": "pushlane.client.workflows",
    "TaskRecord": "pushlane.client.records",
    "TaskUnknown": "pushlane.client.errors",
    "Why": "pushlane.client.why",
    "Workflow": "pushlane.client.workflow_builder",
    "WorkflowRecord": "pushlane.client.workflow_records",
    "WorkflowUnknown": "pushlane.client.errors",
    "even_without": "pushlane.client.workflow_builder",
    "skip_without": "pushlane.client.workflow_builder",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
