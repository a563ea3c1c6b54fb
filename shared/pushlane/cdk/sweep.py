"""The sweep: once a minute, the backstop of every wake-up."""

from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as scheduler_targets
from constructs import Construct

from pushlane.cdk.bundling import Sources
from pushlane.cdk.channels import Channels
from pushlane.cdk.python_function import PythonFunction
from pushlane.cdk.queues import DeadLetterQueue
from pushlane.cdk.state import State
from pushlane.cdk.turn_grants import TURN_SERVICES, allow_turns
from pushlane.model.dead_letters import DeadLetterKind
from pushlane.settings.functions import SweepSettings
from pushlane.settings.stage import StageConfig

_TIMEOUT_SECONDS: Final = 55
_MEMORY_MB: Final = 512


class Sweep(Construct):
    """The sweep function and its schedule. A failed run is not repeated: the next one comes within the minute."""

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
        self.dead_letters = DeadLetterQueue(
            self,
            "ScheduleDeadLetters",
            config=config,
            alarms=channels.alarms,
            name="sweep",
            kind=DeadLetterKind.CALL,
        )
        self.sweeping = PythonFunction(
            self,
            "Sweep",
            entry="lambdas.sweep.handler",
            sources=Sources.of_pushlane(),
            settings=_settings(config, state, channels),
            config=config,
            timeout_seconds=_TIMEOUT_SECONDS,
            memory_mb=_MEMORY_MB,
            aws_services=(*TURN_SERVICES, "scheduler"),
            retry_attempts=0,
            failed_calls=self.dead_letters,
        )
        allow_turns(self.sweeping, state, channels, agent_queue_prefix)
        self.sweeping.allow("dynamodb:PutItem", on=[state.measures.table_arn])
        target = scheduler_targets.LambdaInvoke(
            self.sweeping.function,
            dead_letter_queue=self.dead_letters,
            max_event_age=cdk.Duration.minutes(1),
            retry_attempts=2,
        )
        every_minute = scheduler.ScheduleExpression.rate(cdk.Duration.minutes(1))
        scheduler.Schedule(self, "EveryMinute", schedule=every_minute, target=target)


def _settings(config: StageConfig, state: State, channels: Channels) -> SweepSettings:
    return SweepSettings(
        stage=config.stage.value,
        tasks_table=state.tasks.table_name,
        attempts_table=state.attempts.table_name,
        scheduler_table=state.scheduler.table_name,
        config_table=state.configuration.table_name,
        claims_bucket=state.claims.bucket_name,
        wakeups_queue_url=channels.wakeups.queue_url,
        signing_secret_arn=state.signing_secret.secret_arn,
        outbound_queue_url="" if channels.outbound is None else channels.outbound.queue_url,
        measures_table=state.measures.table_name,
    )
