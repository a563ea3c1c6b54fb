"""Channels: the doors that producers use, the queues between functions, and where facts are published."""

from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from pushlane.cdk.queues import DeadLetterQueue, WorkQueue
from pushlane.cdk.stage import is_local, removal_policy, tls_only
from pushlane.settings.stage import StageConfig

SUBMIT_DETAIL_TYPE: Final = "SubmitTask"
ROUTER_TIMEOUT_SECONDS: Final = 30
_STREAMER_TIMEOUT_SECONDS: Final = 30


class Channels(Construct):
    """Doors (bus, topic, queues, stream), working queues and facts. Every hop can put aside what it cannot pass."""

    def __init__(self, scope: Construct, construct_id: str, *, config: StageConfig) -> None:
        super().__init__(scope, construct_id)
        self._config = config
        self.undelivered = DeadLetterQueue(self, "UndeliveredSubmissions", config=self._config)
        self.intake_dead_letters = DeadLetterQueue(self, "IntakeDeadLetters", config=self._config)
        self.intake_queues = [self._intake_queue(number) for number in range(config.intake_queues)]
        self.results = self._router_queue("Results")
        self.wakeups = self._router_queue("Wakeups")
        self.events = WorkQueue(
            self,
            "Events",
            config=self._config,
            consumer_timeout_seconds=_STREAMER_TIMEOUT_SECONDS,
            dead_letters=DeadLetterQueue(self, "EventsDeadLetters", config=self._config, fifo=True),
            fifo=True,
        )
        # Refused input and records that cannot be read: nobody consumes it, an operator replays from it.
        self.quarantine = DeadLetterQueue(self, "Quarantine", config=self._config)
        self.stream = self._stream()
        self.ingress_bus = events.EventBus(self, "Ingress", description="Pushlane: submissions")
        self.facts_bus = events.EventBus(self, "Facts", description="Pushlane: what happened")
        self.intake_topic = sns.Topic(self, "Intake", enforce_ssl=tls_only(self._config))
        self.announcements = sns.Topic(self, "Announcements", enforce_ssl=tls_only(self._config))
        self._open_doors()

    def _intake_queue(self, number: int) -> WorkQueue:
        return WorkQueue(
            self,
            f"Intake{number}",
            config=self._config,
            consumer_timeout_seconds=ROUTER_TIMEOUT_SECONDS,
            dead_letters=self.intake_dead_letters,
        )

    def _router_queue(self, construct_id: str) -> WorkQueue:
        return WorkQueue(
            self,
            construct_id,
            config=self._config,
            consumer_timeout_seconds=ROUTER_TIMEOUT_SECONDS,
            dead_letters=DeadLetterQueue(self, f"{construct_id}DeadLetters", config=self._config),
        )

    def _stream(self) -> kinesis.Stream:
        local = is_local(self._config)
        return kinesis.Stream(
            self,
            "Stream",
            stream_mode=kinesis.StreamMode.PROVISIONED if local else kinesis.StreamMode.ON_DEMAND,
            shard_count=1 if local else None,
            encryption=kinesis.StreamEncryption.UNENCRYPTED if local else kinesis.StreamEncryption.MANAGED,
            removal_policy=removal_policy(self._config),
        )

    def _open_doors(self) -> None:
        """Bus and topic deliver into intake queue 0. Not raw: the notification carries SNS's own MessageId, the stable
        identity of a submission without an idempotency key.
        """
        first = self.intake_queues[0]
        pattern = events.EventPattern(detail_type=[SUBMIT_DETAIL_TYPE])
        rule = events.Rule(self, "Submissions", event_bus=self.ingress_bus, event_pattern=pattern)
        rule.add_target(
            targets.SqsQueue(
                first,
                dead_letter_queue=self.undelivered,
                max_event_age=cdk.Duration.hours(24),
                retry_attempts=185,
            )
        )
        self.intake_topic.add_subscription(subscriptions.SqsSubscription(first, dead_letter_queue=self.undelivered))
        for queue in (first, self.undelivered):
            self._accept_from_facts_rules(queue)

    def _accept_from_facts_rules(self, queue: sqs.Queue) -> None:
        """Any rule on the facts bus may submit, also of a later stack: named one by one they would close a circle."""
        rules = cdk.Stack.of(self).format_arn(
            service="events", resource="rule", resource_name=f"{self.facts_bus.event_bus_name}/*"
        )
        queue.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("events.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[queue.queue_arn],
                conditions={"ArnLike": {"aws:SourceArn": rules}},
            )
        )
