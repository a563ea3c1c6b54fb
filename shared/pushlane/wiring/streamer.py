"""The streamer, wired for Lambda."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Final

from pushlane.aws.clock import StoreClock
from pushlane.aws.dynamodb import DynamoItemStore
from pushlane.aws.queues import SqsSender
from pushlane.ports import Table
from pushlane.router.stream_metrics import stream_metrics
from pushlane.router.streamer import Streamer, StreamerPorts
from pushlane.settings.environment import load
from pushlane.settings.functions import StreamerSettings
from pushlane.wiring import clients
from pushlane.wiring.keys import keyring_reader
from pushlane.wiring.logs import structured_log, write_metrics
from pushlane.wiring.posting import poster
from pushlane.wiring.process import environ

_BACK_OFF_SECONDS: Final = 0.01
# A batch is of ten logs at most; what they wait for is the network.
_READERS: Final = 8


@cache
def build_streamer() -> Streamer:
    """The streamer of this process, from its environment."""
    settings = load(StreamerSettings, environ())
    dynamodb, clock = clients.dynamodb(), StoreClock()
    clock.listen(dynamodb)
    tables = {Table.EVENTS: settings.events_table, Table.TASKS: settings.tasks_table}
    if settings.connections_table:
        tables[Table.CONNECTIONS] = settings.connections_table
    return Streamer(
        StreamerPorts(
            store=DynamoItemStore(dynamodb, tables, backoff=clients.ADAPTER_BACKOFF),
            clock=clock,
            keyring=keyring_reader(settings.signing_secret_arn),
            sender=SqsSender(clients.sqs()),
            events_queue_url=settings.events_queue_url,
            retention_seconds=settings.retention_seconds,
            back_off=lambda tried: time.sleep(random.uniform(0, _BACK_OFF_SECONDS * 2**tried)),
            log=structured_log("streamer"),
            measure=lambda counts: write_metrics(stream_metrics(counts, clock.now_ms(), settings.stage)),
            poster=poster() if settings.connections_table else None,
            each_of=ThreadPoolExecutor(max_workers=_READERS, thread_name_prefix="read").map,
        )
    )
