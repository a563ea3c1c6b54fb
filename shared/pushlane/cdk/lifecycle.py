"""The lifecycle: committed changes in the table streams become facts on the bus and the topic."""

from typing import Any, Final

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from constructs import Construct

from pushlane.cdk.bundling import Sources
from pushlane.cdk.channels import Channels
from pushlane.cdk.python_function import PythonFunction
from pushlane.cdk.queues import DeadLetterQueue
from pushlane.cdk.stage import is_local
from pushlane.cdk.state import State
from pushlane.model.dead_letters import DeadLetterKind
from pushlane.settings.functions import LifecycleSettings
from pushlane.settings.stage import StageConfig

_TIMEOUT_SECONDS: Final = 30
_MEMORY_MB: Final = 512
_BATCH: Final = 100
# The handler puts aside what it cannot read, so what fails here is the infrastructure, and that comes back: try long.
_RETRIES: Final = 100
_AGE: Final = cdk.Duration.hours(12)

# Expiry by TTL removes the item, which is no fact: only creations and changes are looked at.
TASK_CHANGES: Final = {"eventName": lambda_.FilterRule.or_("INSERT", "MODIFY")}


def attempt_starts(config: StageConfig) -> dict[str, Any]:
    """Of an attempt only its start is a fact: `runner` is there and was not before.

    AWS looks at leaves only (`runner.S`); the emulator finds no leaf under an attribute that is not there.
    """
    absent = lambda_.FilterRule.not_exists()
    return {
        "eventName": lambda_.FilterRule.is_equal("MODIFY"),
        "dynamodb": {
            "NewImage": {"runner": {"S": lambda_.FilterRule.exists()}},
            "OldImage": {"runner": absent if is_local(config) else {"S": absent}},
        },
    }


class Lifecycle(Construct):
    """The lifecycle function with its two stream mappings and its rights."""

    def __init__(
        self, scope: Construct, construct_id: str, *, config: StageConfig, state: State, channels: Channels
    ) -> None:
        super().__init__(scope, construct_id)
        self._config = config
        self._alarms = channels.alarms
        self.publishing = PythonFunction(
            self,
            "Lifecycle",
            entry="lambdas.lifecycle.handler",
            sources=Sources.of_pushlane(),
            settings=LifecycleSettings(
                stage=config.stage.value,
                tasks_table=state.tasks.table_name,
                attempts_table=state.attempts.table_name,
                facts_bus_name=channels.facts_bus.event_bus_name,
                announcements_topic_arn=channels.announcements.topic_arn,
                events_queue_url=channels.events.queue_url if config.event_log else "",
                measures_table=state.measures.table_name,
                quarantine_queue_url=channels.quarantine.queue_url,
                signing_secret_arn=state.signing_secret.secret_arn,
                traces=config.traces,
                traces_ratio=config.traces_ratio,
            ),
            config=config,
            timeout_seconds=_TIMEOUT_SECONDS,
            memory_mb=_MEMORY_MB,
            aws_services=("events", "sns", "sqs", "secretsmanager", "dynamodb"),
            traced=True,
        )
        self.publishing.allow("events:PutEvents", on=[channels.facts_bus.event_bus_arn])
        self.publishing.allow("sns:Publish", on=[channels.announcements.topic_arn])
        self.publishing.allow("sqs:SendMessage", on=[channels.events.queue_arn, channels.quarantine.queue_arn])
        self.publishing.allow("secretsmanager:GetSecretValue", on=[state.signing_secret.secret_arn])
        self.publishing.allow("dynamodb:UpdateItem", on=[state.measures.table_arn])
        self._follow("Tasks", state.tasks, TASK_CHANGES)
        self._follow("Attempts", state.attempts, attempt_starts(config))

    def _follow(self, name: str, table: dynamodb.Table, pattern: dict[str, Any]) -> None:
        dead_letters = DeadLetterQueue(
            self,
            f"{name}StreamDeadLetters",
            config=self._config,
            alarms=self._alarms,
            name=f"{name.lower()}-changes",
            kind=DeadLetterKind.CHANGES,
        )
        self.publishing.function.add_event_source(
            sources.DynamoEventSource(
                table,
                starting_position=lambda_.StartingPosition.TRIM_HORIZON,
                batch_size=_BATCH,
                filters=[lambda_.FilterCriteria.filter(pattern)],
                bisect_batch_on_error=True,
                retry_attempts=_RETRIES,
                max_record_age=_AGE,
                report_batch_item_failures=True,
                on_failure=sources.SqsDlq(dead_letters),
            )
        )
