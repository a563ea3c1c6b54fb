"""The streamer: the one consumer of the events queue, the one writer of the event logs, the one that posts them."""

from typing import Final

from aws_cdk import aws_lambda_event_sources as sources
from constructs import Construct

from pushlane.cdk.bundling import Sources
from pushlane.cdk.channels import STREAMER_TIMEOUT_SECONDS, Channels
from pushlane.cdk.python_function import PythonFunction
from pushlane.cdk.state import State
from pushlane.settings.functions import StreamerSettings
from pushlane.settings.stage import StageConfig

_MEMORY_MB: Final = 512
_BATCH: Final = 10  # the most that a FIFO queue gives; it takes no batching window
_CONCURRENCY: Final = 20
_RETENTION_SECONDS: Final = 7 * 24 * 3600
_READ: Final = ("dynamodb:GetItem", "dynamodb:BatchGetItem")


class Streamer(Construct):
    """The streamer function with its mapping and its rights."""

    def __init__(
        self, scope: Construct, construct_id: str, *, config: StageConfig, state: State, channels: Channels
    ) -> None:
        super().__init__(scope, construct_id)
        self.streaming = PythonFunction(
            self,
            "Streamer",
            entry="lambdas.streamer.handler",
            sources=Sources.of_pushlane(),
            settings=StreamerSettings(
                stage=config.stage.value,
                tasks_table=state.tasks.table_name,
                events_table=state.events.table_name,
                events_queue_url=channels.events.queue_url,
                signing_secret_arn=state.signing_secret.secret_arn,
                retention_seconds=_RETENTION_SECONDS,
                connections_table=state.connections.table_name if config.api else "",
            ),
            config=config,
            timeout_seconds=STREAMER_TIMEOUT_SECONDS,
            memory_mb=_MEMORY_MB,
            aws_services=("dynamodb", "secretsmanager", "sqs", *(("apigatewaymanagementapi",) if config.api else ())),
        )
        self._grant(config, state, channels)
        self.streaming.function.add_event_source(
            sources.SqsEventSource(
                channels.events,
                batch_size=_BATCH,
                max_concurrency=_CONCURRENCY,
                report_batch_item_failures=True,
                enabled=config.event_log,
            )
        )

    def _grant(self, config: StageConfig, state: State, channels: Channels) -> None:
        """The right to post is given by the API's own stack, which comes later."""
        self.streaming.allow(*_READ, "dynamodb:Query", "dynamodb:PutItem", on=[state.events.table_arn])
        self.streaming.allow(*_READ, on=[state.tasks.table_arn])
        self.streaming.allow("sqs:SendMessage", on=[channels.events.queue_arn])
        self.streaming.allow("secretsmanager:GetSecretValue", on=[state.signing_secret.secret_arn])
        if config.api:
            calls = ("dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem")
            self.streaming.allow(*_READ, *calls, on=[state.connections.table_arn])
