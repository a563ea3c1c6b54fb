"""The producer's client over the HTTP API: for code that blocks, and for code that awaits.

    from pushlane.client.api import Client

    with Client("https://api.example.com", "pl_...") as client:
        submitted = client.submit(task_type="extract", payload={"document": 7})
        for event in client.watch(submitted.task_id):
            print(event.sequence, event.kind, event.data)
        print(client.result(submitted.task_id))

Needs the extra `client`; no AWS library is imported.
"""

from pushlane.client.api.async_client import AsyncClient
from pushlane.client.api.errors import (
    ApiError,
    Conflict,
    DeadlineExceeded,
    FieldError,
    Forbidden,
    Invalid,
    NotFound,
    RateLimited,
    TooLarge,
    Unauthorized,
    Unavailable,
    Unexpected,
)
from pushlane.client.api.retrying import Retrying
from pushlane.client.api.streams import Transport
from pushlane.client.api.sync_client import Client
from pushlane.client.api.views import (
    Batch,
    Cancelled,
    NodeView,
    Refused,
    ScheduleView,
    Signalled,
    Submitted,
    SubmittedWorkflow,
    TaskView,
    TenantView,
    Ticket,
    WhyView,
    WorkflowView,
)
from pushlane.client.api.watching import Expired, Seen
from pushlane.client.errors import ResultUnavailable, StillRunning
from pushlane.client.workflow_builder import Workflow, even_without, skip_without
from pushlane.model.timeline import LoggedEvent

__all__ = [
    "ApiError",
    "AsyncClient",
    "Batch",
    "Cancelled",
    "Client",
    "Conflict",
    "DeadlineExceeded",
    "Expired",
    "FieldError",
    "Forbidden",
    "Invalid",
    "LoggedEvent",
    "NodeView",
    "NotFound",
    "RateLimited",
    "Refused",
    "ResultUnavailable",
    "Retrying",
    "ScheduleView",
    "Seen",
    "Signalled",
    "StillRunning",
    "Submitted",
    "SubmittedWorkflow",
    "TaskView",
    "TenantView",
    "Ticket",
    "TooLarge",
    "Transport",
    "Unauthorized",
    "Unavailable",
    "Unexpected",
    "WhyView",
    "Workflow",
    "WorkflowView",
    "even_without",
    "skip_without",
]
