"""An agent's function, wired for Lambda: behind its dispatch queue, behind its topic, or invoked by itself."""

import json
import time
import uuid
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from pushlane.agent.definition import AgentDefinition
from pushlane.agent.heartbeat.process import ProcessHeartbeat
from pushlane.agent.ports import AgentPorts
from pushlane.agent.runtime import AgentRuntime
from pushlane.aws.blobs import S3BlobStore
from pushlane.aws.clock import StoreClock
from pushlane.aws.dynamodb import DynamoItemStore
from pushlane.aws.queues import SqsSender
from pushlane.ports import Table
from pushlane.settings.environment import load
from pushlane.settings.functions import AgentSettings
from pushlane.wiring import clients, heartbeat
from pushlane.wiring.logs import structured_log
from pushlane.wiring.process import environ
from pushlane.wiring.traces import tracing_of

LambdaHandler = Callable[[Mapping[str, Any], Any], dict[str, list[dict[str, str]]]]


def lambda_handler(definition: AgentDefinition) -> LambdaHandler:
    """The Lambda handler of an agent: runs each attempt that its queue, its topic or an invocation delivers."""

    @cache
    def runtime() -> AgentRuntime:
        return AgentRuntime(definition, agent_ports(load(AgentSettings, environ())))

    def handle(event: Mapping[str, Any], context: Any) -> dict[str, list[dict[str, str]]]:
        for body, queued_at_ms in zip(dispatches_of(event), queued_at_ms_of(event), strict=True):
            runtime().run(body, int(context.get_remaining_time_in_millis()), queued_at_ms)
        return {"batchItemFailures": []}

    return handle


def dispatches_of(event: Mapping[str, Any]) -> list[str]:
    """The dispatch documents in an event of SQS or SNS; or the one that an invocation's event itself is."""
    if "Records" not in event:
        return [json.dumps(event)]
    return [str(record["Sns"]["Message"] if "Sns" in record else record["body"]) for record in event["Records"]]


def queued_at_ms_of(event: Mapping[str, Any]) -> list[int | None]:
    """Since when each of them lay in the agent's queue; None where there is no queue."""
    if "Records" not in event:
        return [None]
    sent = [record.get("attributes", {}).get("SentTimestamp") for record in event["Records"]]
    return [None if one is None else int(one) for one in sent]


def agent_ports(settings: AgentSettings) -> AgentPorts:
    """The ports of an agent's process; the first long attempt starts its heartbeat's process."""
    dynamodb, clock = clients.dynamodb(), StoreClock()
    clock.listen(dynamodb)
    log = structured_log(settings.agent_id)
    return AgentPorts(
        store=DynamoItemStore(dynamodb, {Table.ATTEMPTS: settings.attempts_table}, backoff=clients.ADAPTER_BACKOFF),
        sender=SqsSender(clients.sqs(), fair_queues=settings.stage != "local"),
        blobs=lambda: S3BlobStore(clients.s3(), settings.claims_bucket),
        clock=clock,
        heartbeat=ProcessHeartbeat(heartbeat.COMMAND, settings.attempts_table, clock, log),
        sleep=time.sleep,
        results_queue_url=settings.results_queue_url,
        events_queue_url=settings.events_queue_url,
        intake_queue_urls=tuple(settings.intake_queue_urls.split(",")),
        new_call_id=lambda: uuid.uuid4().hex,
        log=log,
        tracing=tracing_of(settings, settings.stage, settings.agent_id, log),
    )
