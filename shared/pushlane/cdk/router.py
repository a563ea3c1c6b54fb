"""The router: one function behind every door, the results and the wake-ups."""

import dataclasses
from typing import Final

import aws_cdk as cdk
import jsii
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from constructs import Construct

from pushlane.cdk.bundling import Sources
from pushlane.cdk.channels import ROUTER_TIMEOUT_SECONDS, Channels
from pushlane.cdk.python_function import PythonFunction
from pushlane.cdk.queues import DeadLetterQueue, WorkQueue
from pushlane.cdk.state import State
from pushlane.cdk.turn_grants import TURN_SERVICES, allow_turns
from pushlane.model.dead_letters import DeadLetterKind
from pushlane.settings.doors import tenant_doors_text
from pushlane.settings.functions import RouterSettings
from pushlane.settings.stage import Stage, StageConfig

# Turns on a pool run concurrently but conflict on its hottest items: more of them than this only retry each other.
_CONCURRENCY: Final = {Stage.LOCAL: 2, Stage.DEV: 5, Stage.PROD: 20}
_MEMORY_MB: Final = {Stage.LOCAL: 512, Stage.DEV: 512, Stage.PROD: 1024}
_QUEUE_BATCH: Final = 10
# What stepped aside comes back slowly: it must not take the router's time from tenants within their bounds.
_HELD_BATCH: Final = 5
_HELD_CONCURRENCY: Final = 2
_DOOR_CONCURRENCY: Final = 2  # the least that there is: one tenant must not take the router's time from the others
_STREAM_BATCH: Final = 100
_STREAM_PARALLEL: Final = 2
_STREAM_RETRIES: Final = 10


class Router(Construct):
    """The router function with its mappings and its rights."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: StageConfig,
        state: State,
        channels: Channels,
        agent_queue_prefix: str,
    ) -> None:
        super().__init__(scope, construct_id)
        self._tenant_doors: dict[str, str] = {}
        doors = cdk.Lazy.string(_TenantDoors(self._tenant_doors))
        self.routed = PythonFunction(
            self,
            "Router",
            entry="lambdas.router.handler",
            sources=Sources.of_pushlane(),
            settings=dataclasses.replace(router_settings(config, state, channels), tenant_doors=doors),
            config=config,
            timeout_seconds=ROUTER_TIMEOUT_SECONDS,
            memory_mb=_MEMORY_MB[config.stage],
            aws_services=TURN_SERVICES,
            traced=True,
        )
        allow_turns(self.routed, state, channels, agent_queue_prefix)
        self.routed.allow("sqs:SendMessage", on=[channels.quarantine.queue_arn, channels.held.queue_arn])
        if config.accept_unsigned_tenant:  # elsewhere no policy is taken from the bus
            self.routed.allow("dynamodb:PutItem", on=[state.configuration.table_arn])
        for queue in (*channels.intake_queues, channels.results, channels.wakeups):
            self._consume(queue, _QUEUE_BATCH, _CONCURRENCY[config.stage])
        self._consume(channels.held, _HELD_BATCH, _HELD_CONCURRENCY)
        self.stream_dead_letters = DeadLetterQueue(
            self,
            "StreamDeadLetters",
            config=config,
            alarms=channels.alarms,
            name="stream",
            kind=DeadLetterKind.STREAM,
        )
        self._read_stream(channels)

    def take_from_door(self, queue: WorkQueue, tenant_id: str) -> None:
        """Take from a queue of this stack that is the door of one tenant; any other tenant in it is refused."""
        self._tenant_doors[queue.queue_arn] = tenant_id
        self._consume(queue, _QUEUE_BATCH, _DOOR_CONCURRENCY)

    def _consume(self, queue: WorkQueue, batch_size: int, concurrency: int) -> None:
        self.routed.function.add_event_source(
            sources.SqsEventSource(
                queue,
                batch_size=batch_size,
                max_concurrency=concurrency,
                report_batch_item_failures=True,
            )
        )

    def _read_stream(self, channels: Channels) -> None:
        self.routed.function.add_event_source(
            sources.KinesisEventSource(
                channels.stream,
                starting_position=lambda_.StartingPosition.TRIM_HORIZON,
                batch_size=_STREAM_BATCH,
                parallelization_factor=_STREAM_PARALLEL,
                bisect_batch_on_error=True,
                retry_attempts=_STREAM_RETRIES,
                max_record_age=cdk.Duration.hours(12),
                report_batch_item_failures=True,
                on_failure=sources.SqsDlq(self.stream_dead_letters),
            )
        )


@jsii.implements(cdk.IStableStringProducer)
class _TenantDoors:
    """The doors of tenants as the router's setting, once all of them are there."""

    def __init__(self, doors: dict[str, str]) -> None:
        self._doors = doors

    def produce(self) -> str:
        return tenant_doors_text(self._doors)


def router_settings(config: StageConfig, state: State, channels: Channels) -> RouterSettings:
    """What the router knows, and so does whoever runs the same turns for callers."""
    return RouterSettings(
        stage=config.stage.value,
        tasks_table=state.tasks.table_name,
        attempts_table=state.attempts.table_name,
        scheduler_table=state.scheduler.table_name,
        config_table=state.configuration.table_name,
        claims_bucket=state.claims.bucket_name,
        results_queue_arn=channels.results.queue_arn,
        wakeups_queue_arn=channels.wakeups.queue_arn,
        wakeups_queue_url=channels.wakeups.queue_url,
        held_queue_arn=channels.held.queue_arn,
        held_queue_url=channels.held.queue_url,
        quarantine_queue_url=channels.quarantine.queue_url,
        signing_secret_arn=state.signing_secret.secret_arn,
        accept_unsigned_tenant=config.accept_unsigned_tenant,
        tenant_doors="",
        outbound_queue_url="" if channels.outbound is None else channels.outbound.queue_url,
        traces=config.traces,
        traces_ratio=config.traces_ratio,
    )
