"""The courier: facts of tasks with a callback, and dispatches to agents outside AWS, delivered by one function."""

from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda_event_sources as sources
from constructs import Construct

from pushlane.cdk.bundling import Sources
from pushlane.cdk.channels import COURIER_TIMEOUT_SECONDS, Channels
from pushlane.cdk.python_function import PythonFunction
from pushlane.cdk.queues import DeadLetterQueue, WorkQueue
from pushlane.cdk.state import State
from pushlane.model.dead_letters import DeadLetterKind
from pushlane.settings.edge import CourierSettings
from pushlane.settings.stage import Stage, StageConfig

_MEMORY_MB: Final = 512
_BATCH: Final = 10
# Whose receiver is slow waits in the queue: at most so many batches are under way at once.
_CONCURRENCY: Final = {Stage.LOCAL: 2, Stage.DEV: 5, Stage.PROD: 20}
# The courier's own table of waits has as many (`pushlane.router.courier`): about an hour of tries.
CALLBACK_RECEIVES_MAX: Final = 8
_AGE: Final = cdk.Duration.hours(24)
_RETRY_ATTEMPTS: Final = 185


class Courier(Construct):
    """The courier's function, the queue of callbacks with the rule that fills it, and its mappings.

    Raises `ValueError` where the channels have no queue for dispatches to the outside (`-c api=true` adds it).
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, config: StageConfig, state: State, channels: Channels
    ) -> None:
        super().__init__(scope, construct_id)
        if channels.outbound is None:
            raise ValueError("a courier needs the outbound queue: deploy the channels with -c api=true")
        self._config = config
        self.dead_letters = DeadLetterQueue(
            self,
            "CallbacksDeadLetters",
            config=config,
            alarms=channels.alarms,
            name="callbacks",
            kind=DeadLetterKind.QUEUE,
        )
        self.callbacks = WorkQueue(
            self,
            "Callbacks",
            config=config,
            consumer_timeout_seconds=COURIER_TIMEOUT_SECONDS,
            dead_letters=self.dead_letters,
            max_receive_count=CALLBACK_RECEIVES_MAX,
        )
        self._tell(channels.facts_bus)
        self.delivering = PythonFunction(
            self,
            "Courier",
            entry="lambdas.courier.handler",
            sources=Sources.of_pushlane(),
            settings=_settings(config, state, self.callbacks, channels.outbound),
            config=config,
            timeout_seconds=COURIER_TIMEOUT_SECONDS,
            memory_mb=_MEMORY_MB,
            aws_services=("dynamodb", "sqs", "secretsmanager", "s3", "apigatewaymanagementapi"),
        )
        self._allow(state, channels.outbound)
        self._consume(self.callbacks)
        self._consume(channels.outbound)

    def _tell(self, bus: events.IEventBus) -> None:
        """A fact says itself that somebody is to be told of it."""
        pattern = events.EventPattern(detail={"data": {"callback": [True]}})
        rule = events.Rule(self, "Told", event_bus=bus, event_pattern=pattern)
        rule.add_target(
            targets.SqsQueue(
                self.callbacks,
                dead_letter_queue=self.dead_letters,
                max_event_age=_AGE,
                retry_attempts=_RETRY_ATTEMPTS,
            )
        )

    def _allow(self, state: State, outbound: WorkQueue) -> None:
        self.delivering.allow("dynamodb:GetItem", "dynamodb:BatchGetItem", on=[state.tasks.table_arn])
        self.delivering.allow("dynamodb:GetItem", "dynamodb:BatchGetItem", on=[state.configuration.table_arn])
        self.delivering.allow(
            "dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", on=[state.connections.table_arn]
        )
        self.delivering.allow("secretsmanager:GetSecretValue", on=[state.signing_secret.secret_arn])
        self.delivering.allow("s3:GetObject", on=[state.claims.arn_for_objects("claims/*")])
        self.delivering.allow("s3:ListBucket", on=[state.claims.bucket_arn])  # without it what is missing is a 403
        queues = [self.callbacks.queue_arn, outbound.queue_arn]
        self.delivering.allow("sqs:ChangeMessageVisibility", on=queues)

    def _consume(self, queue: WorkQueue) -> None:
        self.delivering.function.add_event_source(
            sources.SqsEventSource(
                queue,
                batch_size=_BATCH,
                max_concurrency=_CONCURRENCY[self._config.stage],
                report_batch_item_failures=True,
            )
        )


def _settings(config: StageConfig, state: State, callbacks: WorkQueue, outbound: WorkQueue) -> CourierSettings:
    return CourierSettings(
        stage=config.stage.value,
        tasks_table=state.tasks.table_name,
        config_table=state.configuration.table_name,
        connections_table=state.connections.table_name,
        claims_bucket=state.claims.bucket_name,
        signing_secret_arn=state.signing_secret.secret_arn,
        callbacks_queue_arn=callbacks.queue_arn,
        callbacks_queue_url=callbacks.queue_url,
        outbound_queue_arn=outbound.queue_arn,
        outbound_queue_url=outbound.queue_url,
    )
