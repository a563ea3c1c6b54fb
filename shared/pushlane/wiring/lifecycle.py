"""The lifecycle, wired for Lambda."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, Final

from pushlane.aws.dynamodb import DynamoItemStore
from pushlane.aws.facts import BusAndTopicSink
from pushlane.aws.queues import SqsSender
from pushlane.aws.streams import changes
from pushlane.ports import Change, Table
from pushlane.router.lifecycle import Beside, Done, LifecyclePorts, publish_changes
from pushlane.settings.environment import load
from pushlane.settings.functions import LifecycleSettings
from pushlane.telemetry.deadline_metrics import deadline_metrics
from pushlane.telemetry.folding import Measures
from pushlane.telemetry.metrics import task_metrics
from pushlane.wiring import clients
from pushlane.wiring.keys import keyring_reader
from pushlane.wiring.logs import structured_log, write_metrics
from pushlane.wiring.process import environ
from pushlane.wiring.traces import tracing_of

# The events queue and the count, while bus and topic are told.
_BESIDE: Final = 2


@cache
def build_lifecycle() -> Callable[[Mapping[str, Any]], int]:
    """A function from one stream event to the number of published facts."""
    settings = load(LifecycleSettings, environ())
    log = structured_log("lifecycle")
    ports = LifecyclePorts(
        sink=BusAndTopicSink(
            clients.events(), clients.sns(), settings.facts_bus_name, settings.announcements_topic_arn
        ),
        sender=SqsSender(clients.sqs(), fair_queues=False),
        events_queue_url=settings.events_queue_url,
        quarantine_queue_url=settings.quarantine_queue_url,
        keyring=keyring_reader(settings.signing_secret_arn),
        log=log,
        measure=lambda facts: write_metrics(deadline_metrics(facts, settings.stage)),
        count=_count(settings, log),
        trace=_trace(settings, log),
        beside=_beside(),
    )
    tables = {Table.TASKS: settings.tasks_table, Table.ATTEMPTS: settings.attempts_table}
    return lambda event: publish_changes(ports, changes(event, tables))


def _count(settings: LifecycleSettings, log: Callable[..., None]) -> Callable[[Sequence[Change]], None]:
    """Tenants' measures to their table; and what was not counted before to the metrics, so these count it once too."""
    tables = {Table.MEASURES: settings.measures_table}
    measures = Measures(DynamoItemStore(clients.dynamodb(), tables, backoff=clients.ADAPTER_BACKOFF), log)
    return lambda changes: write_metrics(task_metrics(measures.fold_changes(changes), settings.stage))


def _trace(settings: LifecycleSettings, log: Callable[..., None]) -> Callable[[Sequence[Change]], object]:
    """The changes' spans to where traces go; where they go nowhere, nothing of it is even imported."""
    tracing = tracing_of(settings, settings.stage, "lifecycle", log)
    if tracing is None:
        return len
    from pushlane.telemetry.changes import spans_of

    def export(changed: Sequence[Change]) -> None:
        if spans := spans_of(changed, tracing):
            tracing.exporter.export(spans)

    return export


def _beside() -> Beside:
    threads = ThreadPoolExecutor(max_workers=_BESIDE, thread_name_prefix="beside")

    def begin(work: Callable[[], Done], /) -> Callable[[], Done]:
        return threads.submit(work).result

    return begin
