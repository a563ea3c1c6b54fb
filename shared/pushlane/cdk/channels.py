"""Channels: the doors that producers use, the queues between functions, and where facts are published."""

import itertools
from typing import Any, Final, cast

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from pushlane.cdk.alarms import Alarms
from pushlane.cdk.producers import Producers
from pushlane.cdk.queues import DeadLetterQueue, WorkQueue
from pushlane.cdk.stage import is_local, producers_of_context, removal_policy, tls_only
from pushlane.model.commands import COMMANDS
from pushlane.model.dead_letters import DeadLetterKind
from pushlane.model.ids import INTAKE_SLOTS, intake_queue_of
from pushlane.settings.stage import StageConfig

SUBMIT_DETAIL_TYPE: Final = "SubmitTask"
SET_POLICY_DETAIL_TYPE: Final = "SetPolicy"
SUBMIT_WORKFLOW_DETAIL_TYPE: Final = "SubmitWorkflow"
# Submissions, and commands to what was submitted. On the bus they go by the tenant's intake slot.
DOOR_DETAIL_TYPES: Final = (SUBMIT_DETAIL_TYPE, SUBMIT_WORKFLOW_DETAIL_TYPE, *COMMANDS)
ROUTER_TIMEOUT_SECONDS: Final = 30
STREAMER_TIMEOUT_SECONDS: Final = 30
COURIER_TIMEOUT_SECONDS: Final = 30


class Channels(Construct):
    """Doors (bus, topic, queues, stream), working queues and facts. Every hop can put aside what it cannot pass."""

    def __init__(self, scope: Construct, construct_id: str, *, config: StageConfig) -> None:
        super().__init__(scope, construct_id)
        self._config = config
        self._given_away: list[str] = []
        self.alarms = Alarms(self, "Alarms", config=config)
        self.undelivered = self._dead_letters("UndeliveredSubmissions", "undelivered", DeadLetterKind.INTAKE)
        self.intake_dead_letters = self._dead_letters("IntakeDeadLetters", "intake", DeadLetterKind.INTAKE)
        self.intake_queues = [self._intake_queue(number) for number in range(config.intake_queues)]
        # What tenants over their bound submit waits here until its delay is over.
        self.held = self._router_queue("Held")
        self.results = self._router_queue("Results")
        self.wakeups = self._router_queue("Wakeups")
        self.events = WorkQueue(
            self,
            "Events",
            config=self._config,
            consumer_timeout_seconds=STREAMER_TIMEOUT_SECONDS,
            dead_letters=self._dead_letters("EventsDeadLetters", "events", DeadLetterKind.QUEUE, fifo=True),
            fifo=True,
        )
        # Dispatches to agents behind URLs and WebSocket connections: the courier's, which comes with the API.
        self.outbound = self._outbound() if config.api else None
        # Refused input and records that cannot be read: nobody consumes it, an operator replays from it.
        self.quarantine = self._dead_letters("Quarantine", "quarantine", DeadLetterKind.QUARANTINE)
        self.stream = self._stream()
        self.ingress_bus = events.EventBus(self, "Ingress", description="Pushlane: submissions")
        self.facts_bus = events.EventBus(self, "Facts", description="Pushlane: what happened")
        self.intake_topics = [self._intake_topic(number) for number in range(config.intake_queues)]
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

    def _intake_topic(self, number: int) -> sns.Topic:
        """One for each intake queue. Filter policies on one topic would lose without a trace what they do not foresee:
        no attributes match none on attributes, a message that is no JSON matches none on the body.
        """
        return sns.Topic(self, f"IntakeTopic{number}", enforce_ssl=tls_only(self._config))

    def _router_queue(self, construct_id: str) -> WorkQueue:
        return WorkQueue(
            self,
            construct_id,
            config=self._config,
            consumer_timeout_seconds=ROUTER_TIMEOUT_SECONDS,
            dead_letters=self._dead_letters(f"{construct_id}DeadLetters", construct_id.lower(), DeadLetterKind.QUEUE),
        )

    def _outbound(self) -> WorkQueue:
        return WorkQueue(
            self,
            "Outbound",
            config=self._config,
            consumer_timeout_seconds=COURIER_TIMEOUT_SECONDS,
            dead_letters=self._dead_letters("OutboundDeadLetters", "outbound", DeadLetterKind.QUEUE),
        )

    def _dead_letters(
        self, construct_id: str, name: str, kind: DeadLetterKind, *, fifo: bool = False
    ) -> DeadLetterQueue:
        return DeadLetterQueue(
            self, construct_id, config=self._config, alarms=self.alarms, name=name, kind=kind, fifo=fifo
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
        """Bus and topics deliver into the intake queues. Not raw: the notification carries SNS's own MessageId, the
        stable identity of a submission without an idempotency key.
        """
        for topic, queue in zip(self.intake_topics, self.intake_queues, strict=True):
            topic.add_subscription(subscriptions.SqsSubscription(queue, dead_letter_queue=self.undelivered))
        rules = [self._bus_rule(number, queue) for number, queue in enumerate(self.intake_queues)]
        self._shared_rules = rules
        for narrower, other in itertools.pairwise(rules):
            # With more queues a rule gives slots away: only after the rule is there that takes them.
            narrower.node.add_dependency(other)
        self._bus_rule_to("Policies", self.intake_queues[0], events.EventPattern(detail_type=[SET_POLICY_DETAIL_TYPE]))
        self._accept_from_facts_rules(self.intake_queues[0])
        self._accept_from_facts_rules(self.undelivered)
        self._bind_producers()

    def give_away(self, source: str) -> None:
        """Events of this source on the ingress bus are a tenant's own door's, and no longer go to the intake queues."""
        self._given_away.append(source)
        for rule in self._shared_rules:
            shared = cast(events.CfnRule, rule.node.default_child)
            shared.add_property_override("EventPattern.source", [{"anything-but": self._given_away}])

    def _bind_producers(self) -> None:
        """Where the deployer lists the producers (`-c producers=`), nobody else may send through the shared doors."""
        arns = producers_of_context(self)
        if not arns:
            return
        producers = Producers(arns, stage=self._config.stage.value)
        for queue in self.intake_queues:
            producers.bind_queue(queue)
        for topic in self.intake_topics:
            producers.bind_topic(topic)
        producers.bind_stream(self.stream)
        producers.bind_bus(Construct(self, "Producers"), self.ingress_bus)

    def _bus_rule(self, number: int, queue: WorkQueue) -> events.Rule:
        pattern = events.EventPattern(
            detail_type=list(DOOR_DETAIL_TYPES), detail=detail_pattern(number, len(self.intake_queues))
        )
        return self._bus_rule_to(f"Submissions{number}", queue, pattern)

    def _bus_rule_to(self, construct_id: str, queue: WorkQueue, pattern: events.EventPattern) -> events.Rule:
        rule = events.Rule(self, construct_id, event_bus=self.ingress_bus, event_pattern=pattern)
        target = targets.SqsQueue(
            queue, dead_letter_queue=self.undelivered, max_event_age=cdk.Duration.hours(24), retry_attempts=185
        )
        rule.add_target(target)
        return rule

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


def detail_pattern(number: int, queues: int) -> dict[str, Any] | None:
    """Which submissions the rule of an intake queue takes. That of queue 0 takes whatever no other one does, also what
    has no slot or a nonsensical one, so that every event of the bus is taken or refused with a reason.
    """
    if queues == 1:
        return None
    serving = {slot: intake_queue_of(slot, queues) for slot in range(INTAKE_SLOTS)}
    if number == 0:
        others = [slot for slot, queue in serving.items() if queue != 0]
        return {"metadata": {"intake": [{"exists": False}, {"anything-but": others}]}}
    # As numbers, so that also 3.0 finds a rule.
    own = [{"numeric": ["=", slot]} for slot, queue in serving.items() if queue == number]
    return {"metadata": {"intake": own}}
