"""What cdk-nag finds and why it stays: one line a resource and a rule. A finding that is gone must leave this list."""

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

_AGENT_QUEUES_ARN: Final = "arn:<AWS::Partition>:sqs:<AWS::Region>:<AWS::AccountId>:pushlane-prod-agent-*"
_ROUTING: Final = "Pushlane-Prod-Routing/Routing"
_LAST_RESORTS: Final = (
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
_AGENTS: Final = tuple(f"Pushlane-Prod-Agents/{name}/Agent" for name in ("Extract", "Summarize", "Digest"))


def exceptions() -> dict[tuple[str, str], str]:
    """(rule, path of the resource) -> why it stays. Names of exports and attributes in a finding are masked."""
    found = {
        ("AwsSolutions-S1", "Pushlane-Prod-State/State/Claims/Resource"): _LOGGING,
        ("AwsSolutions-SMG4", "Pushlane-Prod-State/State/SigningSecret/Resource"): _ROTATION,
        ("AwsSolutions-IAM5[Resource::<...>:*]", _schedule_role()): _VERSIONS,
    }
    found |= {("AwsSolutions-SQS3", path): _LAST_RESORT for path in _LAST_RESORTS}
    for path in (*_DECIDING, *_AGENTS):
        found["AwsSolutions-L1", f"{path}/Function/Resource"] = _RUNTIME
        found["AwsSolutions-IAM5[Resource::*]", f"{path}/Role/DefaultPolicy/Resource"] = _TRACING
    for path in _DECIDING[:2]:
        rule = f"AwsSolutions-IAM5[Resource::{_AGENT_QUEUES_ARN}]"
        found[rule, f"{path}/Role/DefaultPolicy/Resource"] = _AGENT_QUEUES
        found["AwsSolutions-IAM5[Resource::<...>/claims/*]", f"{path}/Role/DefaultPolicy/Resource"] = _CLAIMS
    for path in _AGENTS:
        rule = "AwsSolutions-IAM5[Resource::<...>/claims/*]"
        found[rule, f"{path}/Role/DefaultPolicy/Resource"] = _CLAIMS
    return found


def _schedule_role() -> str:
    return "Pushlane-Prod-Routing/SchedulerRoleForTarget-<...>/DefaultPolicy/Resource"
