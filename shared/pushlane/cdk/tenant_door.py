"""A door of one tenant: a queue, and if wanted a source on the ingress bus, that only its principals can use.

What comes through it needs no signature: the door vouches for its tenant, and the router refuses any other tenant in it
to quarantine.
"""

from collections.abc import Sequence
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from pushlane.cdk.channels import DOOR_DETAIL_TYPES, ROUTER_TIMEOUT_SECONDS
from pushlane.cdk.dispatcher import DispatcherLike
from pushlane.cdk.producers import Producers
from pushlane.cdk.queues import DeadLetterQueue, WorkQueue
from pushlane.model.dead_letters import DeadLetterKind

_RETRY_ATTEMPTS: Final = 185


class TenantDoor(Construct):
    """`queue` is the door; `principals` are the ARNs of the roles or users that may send to it (operators who redrive
    its dead letters among them). With `bus` they may also put events of the source `tenant.<tenant_id>` on the ingress
    bus, and nobody else may.

    It lies in the stack of the dispatcher's routing, whose router takes from it. Raises `ValueError` without any
    principal.
    """

    def __init__(
        self, dispatcher: DispatcherLike, *, tenant_id: str, principals: Sequence[str], bus: bool = False
    ) -> None:
        super().__init__(dispatcher.routing, f"Door-{tenant_id}")
        self.tenant_id = tenant_id
        config, channels = dispatcher.config, dispatcher.channels
        producers = Producers(principals)
        self.dead_letters = DeadLetterQueue(
            self,
            "DeadLetters",
            config=config,
            alarms=channels.alarms,
            name=f"door-{tenant_id}",
            kind=DeadLetterKind.QUEUE,
        )
        self.queue = WorkQueue(
            self,
            "Queue",
            config=config,
            consumer_timeout_seconds=ROUTER_TIMEOUT_SECONDS,
            dead_letters=self.dead_letters,
        )
        producers.bind_queue(self.queue)
        dispatcher.routing.router.take_from_door(self.queue, tenant_id)
        cdk.CfnOutput(self, "QueueUrl", value=self.queue.queue_url)
        if bus:
            channels.give_away(self.source)
            self._open_bus(channels.ingress_bus)
            producers.bind_bus(self, channels.ingress_bus, self.source)

    @property
    def source(self) -> str:
        """The `source` of the tenant's events on the ingress bus."""
        return f"tenant.{self.tenant_id}"

    def _open_bus(self, ingress_bus: events.EventBus) -> None:
        pattern = events.EventPattern(source=[self.source], detail_type=list(DOOR_DETAIL_TYPES))
        rule = events.Rule(self, "Rule", event_bus=ingress_bus, event_pattern=pattern)
        rule.add_target(
            targets.SqsQueue(
                self.queue,
                dead_letter_queue=self.dead_letters,
                max_event_age=cdk.Duration.hours(24),
                retry_attempts=_RETRY_ATTEMPTS,
            )
        )
