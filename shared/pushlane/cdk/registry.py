"""The registry: the custom resource that writes agents declared in CDK into the scheduler's table."""

from typing import Final

import aws_cdk as cdk
from constructs import Construct

from pushlane.cdk.bundling import Sources
from pushlane.cdk.channels import Channels
from pushlane.cdk.python_function import PythonFunction
from pushlane.cdk.queues import DeadLetterQueue
from pushlane.cdk.state import State
from pushlane.model.dead_letters import DeadLetterKind
from pushlane.model.endpoint import Endpoint, EndpointKind
from pushlane.settings.functions import RegistrySettings
from pushlane.settings.stage import StageConfig

# Longer than a removal waits for running attempts (`pushlane.wiring.registry`), so that it always answers itself.
_TIMEOUT_SECONDS: Final = 300
_MEMORY_MB: Final = 256


class Registry(Construct):
    """The provider function of `Custom::PushlaneAgent`."""

    def __init__(
        self, scope: Construct, construct_id: str, *, config: StageConfig, state: State, channels: Channels
    ) -> None:
        super().__init__(scope, construct_id)
        self.dead_letters = DeadLetterQueue(
            self,
            "DeadLetters",
            config=config,
            alarms=channels.alarms,
            name="registry",
            kind=DeadLetterKind.CALL,
        )
        self.registering = PythonFunction(
            self,
            "Registry",
            entry="lambdas.registry.handler",
            sources=Sources.of_pushlane(),
            settings=RegistrySettings(
                scheduler_table=state.scheduler.table_name, wakeups_queue_url=channels.wakeups.queue_url
            ),
            config=config,
            timeout_seconds=_TIMEOUT_SECONDS,
            memory_mb=_MEMORY_MB,
            aws_services=("dynamodb", "sqs"),
            failed_calls=self.dead_letters,  # CloudFormation calls it asynchronously
        )
        self.registering.allow(
            "dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", on=[state.scheduler.table_arn]
        )
        self.registering.allow("sqs:SendMessage", on=[channels.wakeups.queue_arn])

    def register(
        self,
        scope: Construct,
        construct_id: str,
        *,
        agent_id: str,
        pool: str,
        capabilities: list[str],
        slots: int,
        endpoint: Endpoint,
        heartbeat_seconds: float | None = None,
    ) -> cdk.CustomResource:
        """The entry of one agent: written on create and update, drained and removed on delete. `endpoint`: where it is
        pushed to; its target may be a token. `heartbeat_seconds`: it lives long, and is taken for dead when none of its
        heartbeats (`AgentHeartbeat`) came for so long.
        """
        beats = {} if heartbeat_seconds is None else {"HeartbeatSeconds": heartbeat_seconds}
        by_queue = endpoint.kind is EndpointKind.SQS
        place = {"EndpointKind": endpoint.kind.value, "EndpointTarget": endpoint.target}
        return cdk.CustomResource(
            scope,
            construct_id,
            service_token=self.registering.function.function_arn,
            resource_type="Custom::PushlaneAgent",
            service_timeout=cdk.Duration.seconds(_TIMEOUT_SECONDS + 30),
            properties={
                "AgentId": agent_id,
                "Pool": pool,
                "Capabilities": capabilities,
                "Slots": slots,
                **({"QueueUrl": endpoint.target} if by_queue else place),
                **beats,
            },
        )
