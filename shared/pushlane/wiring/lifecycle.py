"""The lifecycle, wired for Lambda."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

from pushlane.aws.facts import BusAndTopicSink
from pushlane.aws.queues import SqsSender
from pushlane.aws.streams import changes
from pushlane.ports import Table
from pushlane.router.deadline_metrics import deadline_metrics
from pushlane.router.lifecycle import Beside, LifecyclePorts, at_once, publish_changes
from pushlane.settings.environment import load
from pushlane.settings.functions import LifecycleSettings
from pushlane.wiring import clients
from pushlane.wiring.keys import keyring_reader
from pushlane.wiring.logs import structured_log, write_metrics
from pushlane.wiring.process import environ


@cache
def build_lifecycle() -> Callable[[Mapping[str, Any]], int]:
    """A function from one stream event to the number of published facts."""
    settings = load(LifecycleSettings, environ())
    ports = LifecyclePorts(
        sink=BusAndTopicSink(
            clients.events(), clients.sns(), settings.facts_bus_name, settings.announcements_topic_arn
        ),
        sender=SqsSender(clients.sqs(), fair_queues=False),
        events_queue_url=settings.events_queue_url,
        quarantine_queue_url=settings.quarantine_queue_url,
        keyring=keyring_reader(settings.signing_secret_arn),
        log=structured_log("lifecycle"),
        measure=lambda facts: write_metrics(deadline_metrics(facts, settings.stage)),
        beside=_beside() if settings.events_queue_url else at_once,
    )
    tables = {Table.TASKS: settings.tasks_table, Table.ATTEMPTS: settings.attempts_table}
    return lambda event: publish_changes(ports, changes(event, tables))


def _beside() -> Beside:
    threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="live")
    return lambda work: threads.submit(work).result
