"""The ports of a turn on AWS: shared by every function that runs turns."""

import random
import time
import uuid
from collections.abc import Callable
from typing import Final

from pushlane.aws.blobs import S3TurnBlobStore
from pushlane.aws.clock import StoreClock
from pushlane.aws.dynamodb import DynamoItemStore
from pushlane.aws.queues import SqsSender
from pushlane.ports import Table
from pushlane.router.policy import PolicyDirectory
from pushlane.router.push import Pusher
from pushlane.router.remembered import RememberedPools
from pushlane.router.turn import TurnPorts
from pushlane.settings.functions import RouterSettings, SweepSettings
from pushlane.wiring import clients
from pushlane.wiring.logs import structured_log

# Re-plans wait 10, 20, 40 ms at most, with full jitter: about a transaction's own time.
_BACK_OFF_SECONDS: Final = 0.005


def back_off(replan: int) -> None:
    """Wait before the n-th new plan of a contended turn."""
    time.sleep(random.uniform(0, min(0.2, _BACK_OFF_SECONDS * 2**replan)))


def turn_ports(settings: RouterSettings | SweepSettings) -> TurnPorts:
    """DynamoDB, SQS and the store's clock behind the turn's ports."""
    dynamodb, clock = clients.dynamodb(), StoreClock()
    clock.listen(dynamodb)
    tables = {
        Table.TASKS: settings.tasks_table,
        Table.ATTEMPTS: settings.attempts_table,
        Table.SCHEDULER: settings.scheduler_table,
        Table.CONFIG: settings.config_table,
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


def pusher(ports: TurnPorts, read_key: Callable[[], bytes]) -> Pusher:
    return Pusher(ports.store, ports.sender, ports.blobs, read_key)
