"""Alarms: a message in a dead-letter queue is somebody's work undone until a person has looked."""

from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from pushlane.cdk.stage import tls_only
from pushlane.settings.stage import StageConfig

_PERIOD: Final = cdk.Duration.minutes(1)


class Alarms(Construct):
    """The topic of all alarms, for whoever deploys to subscribe to. Where the stage has no alarms there is no topic."""

    def __init__(self, scope: Construct, construct_id: str, *, config: StageConfig) -> None:
        super().__init__(scope, construct_id)
        self._stage = config.stage.value
        self.topic = self._topic(config) if config.alarms else None

    def watch(self, queue: sqs.Queue, name: str) -> None:
        """Raise an alarm while anything lies in this dead-letter queue, which operators know as `name`."""
        if self.topic is not None:
            DeadLetterAlarm(queue, "Alarm", queue=queue, name=name, stage=self._stage, topic=self.topic)

    def _topic(self, config: StageConfig) -> sns.Topic:
        topic = sns.Topic(self, "Topic", enforce_ssl=tls_only(config))
        # The policy that refuses plain transport takes the place of the one that would let the own account publish.
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": cdk.Stack.of(self).account}},
            )
        )
        return topic


class DeadLetterAlarm(cloudwatch.Alarm):
    """On within a minute or two while messages are visible in `queue`; an empty queue reports nothing, which is fine.

    Its description tells whoever is woken by it what to run.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, queue: sqs.Queue, name: str, stage: str, topic: sns.ITopic
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            alarm_description=(
                f"Pushlane ({stage}): messages in the dead-letter queue {name}."
                f" Look: pushlane dlq show {name} --stage {stage}; then pushlane dlq redrive or discard."
                " What each means: docs/recover.md"
            ),
            metric=queue.metric_approximate_number_of_messages_visible(period=_PERIOD, statistic="Maximum"),
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            threshold=0,
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        self.add_alarm_action(actions.SnsAction(topic))
