"""What a function needs that runs turns: the same for the router and the sweep, which run the same turn."""

from typing import Final

import aws_cdk as cdk

from pushlane.cdk.channels import Channels
from pushlane.cdk.python_function import PythonFunction
from pushlane.cdk.state import State

TURN_SERVICES: Final = ("dynamodb", "sqs", "secretsmanager", "s3", "lambda", "sns")
_READ: Final = ("dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query")
_WRITE: Final = ("dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem")


def allow_turns(function: PythonFunction, state: State, channels: Channels, agent_queue_prefix: str) -> None:
    """Snapshot, commit, push and wake-up: reads and writes of the state, sends to wake-ups, and to agents' queues,
    functions and topics, which are all named alike."""
    tables = [state.tasks.table_arn, state.attempts.table_arn, state.scheduler.table_arn]
    function.allow(*_READ, *_WRITE, on=tables)
    function.allow("dynamodb:Query", on=[f"{state.attempts.table_arn}/index/by_lease"])
    function.allow(
        "dynamodb:Query",
        on=[f"{state.scheduler.table_arn}/index/{name}" for name in ("by_late", "by_turn", "by_urgency")],
    )
    function.allow(*_READ, on=[state.configuration.table_arn])
    function.allow("secretsmanager:GetSecretValue", on=[state.signing_secret.secret_arn])
    # A large workflow lies among the claims; so do results of parents that are too large for a message.
    function.allow("s3:GetObject", "s3:PutObject", on=[state.claims.arn_for_objects("claims/*")])
    function.allow("s3:ListBucket", on=[state.claims.bucket_arn])  # without it what is missing is a 403
    stack, named = cdk.Stack.of(function), f"{agent_queue_prefix}*"
    agents = stack.format_arn(service="sqs", resource=named)
    courier = [] if channels.outbound is None else [channels.outbound.queue_arn]
    function.allow("sqs:SendMessage", on=[channels.wakeups.queue_arn, agents, *courier])
    by_name = cdk.ArnFormat.COLON_RESOURCE_NAME
    functions = stack.format_arn(service="lambda", resource="function", resource_name=named, arn_format=by_name)
    function.allow("lambda:InvokeFunction", on=[functions])
    function.allow("sns:Publish", on=[stack.format_arn(service="sns", resource=named)])
