"""The streamer: the one consumer of the events queue, and the one writer of the event logs."""

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
                events_table=state.events.table_name,
                signing_secret_arn=state.signing_secret.secret_arn,
                retention_seconds=_RETENTION_SECONDS,
            ),
            config=config,
            timeout_seconds=STREAMER_TIMEOUT_SECONDS,
            memory_mb=_MEMORY_MB,
            aws_services=("dynamodb", "secretsmanager"),
        )
        self.streaming.allow(
            "dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:PutItem", on=[state.events.table_arn]
        )
        self.streaming.allow("secretsmanager:GetSecretValue", on=[state.signing_secret.secret_arn])
        self.streaming.function.add_event_source(
            sources.SqsEventSource(
                channels.events,
                batch_size=_BATCH,
                max_concurrency=_CONCURRENCY,
                report_batch_item_failures=True,
                enabled=config.event_log,
            )
        )
