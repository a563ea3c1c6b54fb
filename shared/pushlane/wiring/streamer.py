"""The streamer, wired for Lambda."""

import random
import time
from functools import cache
from typing import Final

from pushlane.aws.clock import StoreClock
from pushlane.aws.dynamodb import DynamoItemStore
from pushlane.ports import Table
from pushlane.router.stream_metrics import stream_metrics
from pushlane.router.streamer import Streamer, StreamerPorts
from pushlane.settings.environment import load
from pushlane.settings.functions import StreamerSettings
from pushlane.wiring import clients
from pushlane.wiring.keys import key_reader
from pushlane.wiring.logs import structured_log, write_metrics
from pushlane.wiring.process import environ

_BACK_OFF_SECONDS: Final = 0.01


@cache
def build_streamer() -> Streamer:
    """The streamer of this process, from its environment."""
    settings = load(StreamerSettings, environ())
    dynamodb, clock = clients.dynamodb(), StoreClock()
    clock.listen(dynamodb)
    tables = {Table.EVENTS: settings.events_table}
    return Streamer(
        StreamerPorts(
            store=DynamoItemStore(dynamodb, tables, backoff=clients.ADAPTER_BACKOFF),
            clock=clock,
            signing_key=key_reader(settings.signing_secret_arn),
            retention_seconds=settings.retention_seconds,
            back_off=lambda tried: time.sleep(random.uniform(0, _BACK_OFF_SECONDS * 2**tried)),
            log=structured_log("streamer"),
            measure=lambda counts: write_metrics(stream_metrics(counts, clock.now_ms(), settings.stage)),
        )
    )
