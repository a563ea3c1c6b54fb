"""The ports of a turn on AWS: shared by every function that runs turns."""

import random
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Final

from pushlane.aws.blobs import S3TurnBlobStore
from pushlane.aws.clock import StoreClock
from pushlane.aws.dispatching import FunctionInvoker, TopicPublisher
from pushlane.aws.dynamodb import DynamoItemStore
from pushlane.aws.queues import SqsSender
from pushlane.model.endpoint import EndpointKind
from pushlane.model.keyring import KeyRing
from pushlane.ports import Message, MessageSender, Table
from pushlane.router.endpoints import Endpoints
from pushlane.router.policy import PolicyDirectory
from pushlane.router.push import Pusher
from pushlane.router.remembered import RememberedPools
from pushlane.router.turn import TurnPorts
from pushlane.router.turn_spans import TurnSpans
from pushlane.settings.functions import RouterSettings, SweepSettings
from pushlane.wiring import clients
from pushlane.wiring.logs import structured_log

# Re-plans wait 10, 20, 40 ms at most, with full jitter: about a transaction's own time.
_BACK_OFF_SECONDS: Final = 0.005
NO_TABLES: Final[Mapping[Table, str]] = {}


def back_off(replan: int) -> None:
    """Wait before the n-th new plan of a contended turn."""
    time.sleep(random.uniform(0, min(0.2, _BACK_OFF_SECONDS * 2**replan)))


def turn_ports(settings: RouterSettings | SweepSettings, more: Mapping[Table, str] = NO_TABLES) -> TurnPorts:
    """DynamoDB, SQS and the store's clock behind the turn's ports. `more`: tables that the store knows besides."""
    dynamodb, clock = clients.dynamodb(), StoreClock()
    clock.listen(dynamodb)
    tables = {
        Table.TASKS: settings.tasks_table,
        Table.ATTEMPTS: settings.attempts_table,
        Table.SCHEDULER: settings.scheduler_table,
        Table.CONFIG: settings.config_table,
        **more,
    }
    store = DynamoItemStore(dynamodb, tables, backoff=clients.ADAPTER_BACKOFF)
    return TurnPorts(
        store=store,
        sender=SqsSender(clients.sqs(), fair_queues=settings.stage != "local"),
        blobs=S3TurnBlobStore(clients.s3, settings.claims_bucket),
        clock=clock,
        wakeups_queue_url=settings.wakeups_queue_url,
        new_token=lambda: uuid.uuid4().hex,
        back_off=back_off,
        remembered=RememberedPools(),
        policies=PolicyDirectory(store, clock, structured_log("policy")),
    )


def pusher(
    ports: TurnPorts, keyring: Callable[[], KeyRing], outbound_queue_url: str = "", spans: TurnSpans | None = None
) -> Pusher:
    """Pushes to every kind of endpoint; to those that the courier serves when there is one (its queue's URL)."""
    others = {
        EndpointKind.LAMBDA: Later(lambda: FunctionInvoker(clients.lambda_(), backoff=clients.ADAPTER_BACKOFF)),
        EndpointKind.SNS: Later(lambda: TopicPublisher(clients.sns(), backoff=clients.ADAPTER_BACKOFF)),
    }
    return Pusher(ports.store, Endpoints(ports.sender, others, outbound_queue_url), ports.blobs, keyring, spans)


class Later:
    """A sender that is made at its first message: most routers never push to such an agent, and a client costs a cold
    start tens of milliseconds.
    """

    def __init__(self, make: Callable[[], MessageSender]) -> None:
        self._make = cache(make)

    def send(self, target: str, messages: Sequence[Message]) -> list[int]:
        """See `MessageSender.send`."""
        return self._make().send(target, messages)
