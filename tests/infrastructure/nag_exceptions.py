"""What cdk-nag finds and why it stays: one line a resource and a rule. A finding that is gone must leave this list."""

import itertools
from typing import Final

_LOGGING: Final = (
    "Server access logs would cost more than the short-lived claims they log; CloudTrail data events answer audits."
)
_ROTATION: Final = (
    "Rotation must overlap old and new tokens, which a timer does not know; operators rotate with the tooling."
)
_LAST_RESORT: Final = "It is itself where undeliverable messages go; a dead-letter queue of it would move, not solve."
_TRACING: Final = "X-Ray's PutTraceSegments and DynamoDB's ListStreams support no resource-level permissions."
_RUNTIME: Final = "Python 3.13 is the newest version for which every locked dependency ships a Graviton wheel."
_AGENT_QUEUES: Final = "Agents are added by later stacks; the prefix of the name limits the right to this dispatcher."
_VERSIONS: Final = "The grant of EventBridge Scheduler covers the versions of exactly this one function."
_CLAIMS: Final = "Claims are objects named by digest; their prefix is all that a function may touch."

_PUBLIC: Final = (
    "The API's document and the console's page are anybody's; a hook proves itself by its body's signature."
)
_CONNECTED: Final = "A WebSocket route can be authorized at $connect alone, and there it is."
_SOCKET_LOG: Final = "WebSocket access logs need a role of the whole account; the function logs who connects."
_CONNECTIONS: Final = "Connections come and go; the right is to those of this one API."
_SCHEDULES: Final = "Schedules are made for tenants as they ask; the right is to those of this one group."

_AGENT_ARNS: Final = tuple(
    f"arn:<AWS::Partition>:{place}pushlane-prod-agent-*"
    for place in (
        "sqs:<AWS::Region>:<AWS::AccountId>:",
        "lambda:<AWS::Region>:<AWS::AccountId>:function:",
        "sns:<AWS::Region>:<AWS::AccountId>:",
    )
)
_ROUTING: Final = "Pushlane-Prod-Routing/Routing"
_EDGE: Final = "Pushlane-Prod-Api/Edge"
_LAST_RESORTS: Final = (
    f"{_EDGE}/Api/Schedules/DeadLetters/Resource",
    "Pushlane-Prod-Channels/Channels/UndeliveredSubmissions/Resource",
    "Pushlane-Prod-Channels/Channels/Quarantine/Resource",
    f"{_ROUTING}/Router/StreamDeadLetters/Resource",
    f"{_ROUTING}/Sweep/ScheduleDeadLetters/Resource",
    f"{_ROUTING}/Registry/DeadLetters/Resource",
    f"{_ROUTING}/Lifecycle/TasksStreamDeadLetters/Resource",
    f"{_ROUTING}/Lifecycle/AttemptsStreamDeadLetters/Resource",
)
_DECIDING: Final = tuple(
    f"{_ROUTING}/{name}/{name}" for name in ("Router", "Sweep", "Lifecycle", "Registry", "Streamer")
)
_CALLED: Final = tuple(f"{_EDGE}/{name}/{name}" for name in ("Api", "Sockets", "Courier", "Authorizer"))
_AGENTS: Final = tuple(f"Pushlane-Prod-Agents/{name}/Agent" for name in ("Extract", "Summarize", "Digest"))


def exceptions() -> dict[tuple[str, str], str]:
    """(rule, path of the resource) -> why it stays. Names of exports and attributes in a finding are masked."""
    found = {
        ("AwsSolutions-S1", "Pushlane-Prod-State/State/Claims/Resource"): _LOGGING,
        ("AwsSolutions-SMG4", "Pushlane-Prod-State/State/SigningSecret/Resource"): _ROTATION,
        ("AwsSolutions-IAM5[Resource::<...>:*]", _schedule_role()): _VERSIONS,
    }
    found |= {("AwsSolutions-SQS3", path): _LAST_RESORT for path in _LAST_RESORTS}
    found |= _of_the_edge()
    for path in (*_DECIDING, *_CALLED, *_AGENTS):
        found["AwsSolutions-L1", f"{path}/Function/Resource"] = _RUNTIME
        found["AwsSolutions-IAM5[Resource::*]", f"{path}/Role/DefaultPolicy/Resource"] = _TRACING
    for path in (*_DECIDING[:2], *_CALLED[:2]):
        for arn in _AGENT_ARNS:
            found[f"AwsSolutions-IAM5[Resource::{arn}]", f"{path}/Role/DefaultPolicy/Resource"] = _AGENT_QUEUES
        found["AwsSolutions-IAM5[Resource::<...>/claims/*]", f"{path}/Role/DefaultPolicy/Resource"] = _CLAIMS
    for path in (*_AGENTS, _CALLED[2]):
        rule = "AwsSolutions-IAM5[Resource::<...>/claims/*]"
        found[rule, f"{path}/Role/DefaultPolicy/Resource"] = _CLAIMS
    return found


def _schedule_role() -> str:
    return "Pushlane-Prod-Routing/SchedulerRoleForTarget-<...>/DefaultPolicy/Resource"


def _of_the_edge() -> dict[tuple[str, str], str]:
    http, sockets = f"{_EDGE}/Api/Http/Api", f"{_EDGE}/Sockets"
    account = "<AWS::Region>:<AWS::AccountId>"
    found = {("AwsSolutions-APIG1", f"{sockets}/Stage/Resource"): _SOCKET_LOG}
    for route in ("GET--v1--openapi.json", "GET--console", "GET--console--{file}", "POST--v1--hooks--{hook_id}"):
        found["AwsSolutions-APIG4", f"{http}/{route}/Resource"] = _PUBLIC
    for route in ("$default", "$disconnect"):
        found["AwsSolutions-APIG4", f"{sockets}/Api/{route}-Route/Resource"] = _CONNECTED
    for name, method in itertools.product(("Sockets", "Streamer", "Courier"), ("POST", "DELETE")):
        connections = f"arn:<AWS::Partition>:execute-api:{account}:<EdgeSocketsApi<...>>/live/{method}/@connections/*"
        found[f"AwsSolutions-IAM5[Resource::{connections}]", f"{_EDGE}/{name}Connections/Resource"] = _CONNECTIONS
    schedules = f"arn:<AWS::Partition>:scheduler:{account}:schedule/PushlaneProdApi-Edge-Api-Schedules-Group-<...>/*"
    for path in (f"{_EDGE}/Api/Api/Role/DefaultPolicy/Resource", f"{_EDGE}/SweepSchedules/Resource"):
        found[f"AwsSolutions-IAM5[Resource::{schedules}]", path] = _SCHEDULES
    return found
