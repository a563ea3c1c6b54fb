"""The courier, wired for Lambda."""

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Final

from pushlane.aws.blobs import S3TurnBlobStore
from pushlane.aws.clock import StoreClock
from pushlane.aws.dynamodb import DynamoItemStore
from pushlane.aws.outbound import Outbound
from pushlane.aws.postponing import SqsPostponer
from pushlane.ports import Table
from pushlane.router.callbacks import CallbackDirectory
from pushlane.router.courier import Courier
from pushlane.router.courier_ports import CourierPorts
from pushlane.settings.edge import CourierSettings
from pushlane.settings.environment import load
from pushlane.wiring import clients
from pushlane.wiring.callbacks import target_rules
from pushlane.wiring.keys import keyring_reader
from pushlane.wiring.logs import structured_log
from pushlane.wiring.posting import poster
from pushlane.wiring.process import environ

# A batch of its queues.
_THREADS: Final = 10


@cache
def build_courier() -> Courier:
    """The courier of this process, from its environment."""
    settings = load(CourierSettings, environ())
    dynamodb, clock = clients.dynamodb(), StoreClock()
    clock.listen(dynamodb)
    tables = {
        Table.TASKS: settings.tasks_table,
        Table.CONFIG: settings.config_table,
        Table.CONNECTIONS: settings.connections_table,
    }
    store = DynamoItemStore(dynamodb, tables, backoff=clients.ADAPTER_BACKOFF)
    queue_urls = {
        settings.callbacks_queue_arn: settings.callbacks_queue_url,
        settings.outbound_queue_arn: settings.outbound_queue_url,
    }
    log = structured_log("courier")
    return Courier(
        CourierPorts(
            store=store,
            blobs=S3TurnBlobStore(clients.s3, settings.claims_bucket),
            clock=clock,
            http=Outbound(target_rules(settings.stage)),
            poster=poster(),
            postponer=SqsPostponer(clients.sqs(), queue_urls, log),
            keyring=keyring_reader(settings.signing_secret_arn),
            directory=CallbackDirectory(store, clock),
            callbacks_queue_arn=settings.callbacks_queue_arn,
            outbound_queue_arn=settings.outbound_queue_arn,
            chance=random.random,
            log=log,
            side_by_side=_side_by_side(ThreadPoolExecutor(max_workers=_THREADS)),
        )
    )


def _side_by_side(threads: ThreadPoolExecutor) -> Callable[[Sequence[Callable[[], bool]]], list[bool]]:
    return lambda works: list(threads.map(lambda work: work(), works))
