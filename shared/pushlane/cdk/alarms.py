"""Alarms: what a person has to look at. Each says what is wrong and which page of docs/runbooks says what to do."""

from dataclasses import dataclass
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from pushlane.cdk.stage import tls_only
from pushlane.settings.stage import StageConfig

MINUTE: Final = cdk.Duration.minutes(1)
RUNBOOKS: Final = "docs/runbooks"


@dataclass(frozen=True, kw_only=True)
class Watch:
    """When an alarm is on: while `metric` is above `above` in `periods` of the last `of_periods` periods of the metric.

    `below` turns it round: while the metric is below it. `silence_is_wrong`: no data at all is as bad. `says` is what
    is wrong, for whoever is woken by it; `runbook` the page (without `.md`) that says what to do.
    """

    runbook: str
    says: str
    metric: cloudwatch.IMetric
    above: float = 0
    below: float | None = None
    periods: int = 1
    of_periods: int = 1
    silence_is_wrong: bool = False


class Alarms(Construct):
    """The topic of all alarms, for whoever deploys to subscribe to. Where the stage has no alarms there is no topic."""

    def __init__(self, scope: Construct, construct_id: str, *, config: StageConfig) -> None:
        super().__init__(scope, construct_id)
        self._stage = config.stage.value
        self.topic = self._topic(config) if config.alarms else None

    def watch(self, queue: sqs.Queue, name: str) -> None:
        """Raise an alarm while anything lies in this dead-letter queue, which operators know as `name`.

        It is on within a minute or two; an empty queue reports nothing, which is fine.
        """
        show = f"pushlane dlq show {name} --stage {self._stage}"
        watch = Watch(
            runbook="dead-letters",
            says=f"messages in the dead-letter queue {name}. Look: {show}; then pushlane dlq redrive or discard",
            metric=queue.metric_approximate_number_of_messages_visible(period=MINUTE, statistic="Maximum"),
        )
        self.add(queue, "Alarm", watch)

    def add(self, scope: Construct, construct_id: str, watch: Watch) -> None:
        """Raise an alarm as `watch` says; it lies in `scope`. Nothing where the stage has no alarms."""
        if self.topic is None:
            return
        compared = cloudwatch.ComparisonOperator
        silence = cloudwatch.TreatMissingData
        alarm = cloudwatch.Alarm(
            scope,
            construct_id,
            alarm_description=f"Pushlane ({self._stage}): {watch.says}. What to do: {RUNBOOKS}/{watch.runbook}.md",
            metric=watch.metric,
            comparison_operator=(
                compared.GREATER_THAN_THRESHOLD if watch.below is None else compared.LESS_THAN_THRESHOLD
            ),
            threshold=watch.above if watch.below is None else watch.below,
            evaluation_periods=watch.of_periods,
            datapoints_to_alarm=watch.periods,
            treat_missing_data=silence.BREACHING if watch.silence_is_wrong else silence.NOT_BREACHING,
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))

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


def function_throttled(name: str, function: lambda_.Function) -> Watch:
    """Calls that Lambda refused, for want of concurrency, in three minutes of five."""
    return Watch(
        runbook="function-throttles",
        says=f"Lambda throttles the function {name}",
        metric=function.metric_throttles(period=MINUTE, statistic="Sum"),
        periods=3,
        of_periods=5,
    )
