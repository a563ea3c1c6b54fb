"""Who may send through a door: named principals, AWS's own services, and roles of this installation; nobody else.

Within an account a policy that only allows takes nothing away from identities that have the right by themselves. So
each door also denies everybody who is not named.
"""

from collections.abc import Sequence
from typing import Any, Final

from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

STAGE_TAG: Final = "pushlane:stage"
_SERVICES: Final = {"Bool": {"aws:PrincipalIsAWSService": "false"}}
_PUT_RECORDS: Final = ("kinesis:PutRecord", "kinesis:PutRecords")


class Producers:
    """The principals (ARNs of roles or users) that a door takes from. `stage`: also roles that carry this stage's tag
    (agents that submit children, schedules); None where the door is a tenant's own.
    """

    def __init__(self, arns: Sequence[str], *, stage: str | None = None) -> None:
        if not arns:
            raise ValueError("a door needs the ARNs of the principals that it takes from: name at least one")
        self._arns = list(arns)
        self._stage = stage

    def bind_queue(self, queue: sqs.Queue) -> None:
        for statement in self._statements(["sqs:SendMessage"], queue.queue_arn):
            queue.add_to_resource_policy(statement)

    def bind_topic(self, topic: sns.Topic) -> None:
        for statement in self._statements(["sns:Publish"], topic.topic_arn):
            topic.add_to_resource_policy(statement)

    def bind_stream(self, stream: kinesis.Stream) -> None:
        for statement in self._statements(_PUT_RECORDS, stream.stream_arn):
            stream.add_to_resource_policy(statement)

    def bind_bus(self, scope: Construct, bus: events.EventBus, source: str | None = None) -> None:
        """With a `source`: only of that one do the events have to come from these principals. The denial asks for any,
        as one call puts events of several sources.
        """
        allowed = {} if source is None else {"StringEquals": {"events:source": source}}
        denied = {} if source is None else {"ForAnyValue:StringEquals": {"events:source": source}}
        for kind, statement in zip(
            ("Allow", "Deny"),
            self._statements(["events:PutEvents"], bus.event_bus_arn, allowed, denied),
            strict=True,
        ):
            said = statement.to_statement_json()
            name = f"{scope.node.addr}{kind}"
            events.CfnEventBusPolicy(
                scope, f"Bus{kind}", event_bus_name=bus.event_bus_name, statement_id=name, statement=said
            )

    def _statements(
        self,
        actions: Sequence[str],
        resource: str,
        allowed: dict[str, Any] | None = None,
        denied: dict[str, Any] | None = None,
    ) -> tuple[iam.PolicyStatement, iam.PolicyStatement]:
        """One that allows the named principals, one that denies all others."""
        own = {} if self._stage is None else {"StringNotEquals": {f"aws:PrincipalTag/{STAGE_TAG}": self._stage}}
        others: dict[str, Any] = {"ArnNotLike": {"aws:PrincipalArn": self._arns}, **own, **_SERVICES, **(denied or {})}
        return (
            iam.PolicyStatement(
                principals=[iam.ArnPrincipal(arn) for arn in self._arns],
                actions=list(actions),
                resources=[resource],
                conditions=allowed or None,
            ),
            iam.PolicyStatement(
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=list(actions),
                resources=[resource],
                conditions=others,
            ),
        )
