"""An agent as a Lambda function: pushed to through a queue of its own, registered when it can receive."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from pushlane.cdk.bundling import Sources
from pushlane.cdk.dispatcher import DispatcherLike
from pushlane.cdk.python_function import PythonFunction
from pushlane.cdk.queues import DeadLetterQueue, WorkQueue
from pushlane.model.ids import digest
from pushlane.settings.functions import AgentSettings

_QUEUE_NAME_MAX: Final = 80
_MAPPING_CONCURRENCY_MIN: Final = 2  # Lambda accepts no less


class AgentFunction(Construct):
    """One agent. `capabilities` are what it can do (usually task types), `slots` how many tasks it takes at once.

    `entry` is the module with the `@agent` object named `handler`, found under `source_root` (default: the folder of
    the CDK app). The entry in the registry is made last and removed first, so tasks come only while they can be taken.
    What the agent's own code needs beside: `variables` of its environment, `aws_services` that it calls, and the rights
    for them by `running.allow`.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        dispatcher: DispatcherLike,
        agent_id: str,
        entry: str,
        capabilities: Sequence[str],
        slots: int,
        pool: str = "default",
        handler: str = "handler",
        timeout_seconds: int = 120,
        memory_mb: int = 512,
        source_root: Path | None = None,
        aws_services: tuple[str, ...] = (),
        variables: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.dead_letters = DeadLetterQueue(
            self,
            "DeadLetters",
            config=dispatcher.config,
            alarms=dispatcher.channels.alarms,
            name=f"agent/{agent_id}",
        )
        self.queue = WorkQueue(
            self,
            "Dispatch",
            config=dispatcher.config,
            consumer_timeout_seconds=timeout_seconds,
            dead_letters=self.dead_letters,
            name=dispatch_queue_name(dispatcher.routing.agent_queue_prefix, agent_id),
        )
        self.running = PythonFunction(
            self,
            "Agent",
            entry=entry,
            handler=handler,
            sources=Sources.of_app(source_root) if source_root else None,
            settings=_settings(dispatcher, agent_id),
            config=dispatcher.config,
            timeout_seconds=timeout_seconds,
            memory_mb=memory_mb,
            aws_services=("dynamodb", "sqs", "s3", *aws_services),
        )
        for name, value in (variables or {}).items():
            self.running.function.add_environment(name, value)
        _allow_agent(self.running, dispatcher)
        mapping = self._consume(slots)
        self.registration = dispatcher.routing.registry.register(
            self,
            "Registration",
            agent_id=agent_id,
            pool=pool,
            capabilities=list(capabilities),
            slots=slots,
            queue_url=self.queue.queue_url,
        )
        self.registration.node.add_dependency(mapping)

    def _consume(self, slots: int) -> lambda_.EventSourceMapping:
        """One task an invocation, so that one slow or failing task never holds another back."""
        self.queue.grant_consume_messages(self.running.role)
        return self.running.function.add_event_source_mapping(
            "Dispatches",
            event_source_arn=self.queue.queue_arn,
            batch_size=1,
            max_concurrency=max(_MAPPING_CONCURRENCY_MIN, slots),
        )


def dispatch_queue_name(prefix: str, agent_id: str) -> str:
    """The name of an agent's queue. What SQS does not allow, or is too long, is replaced by a digest of the id."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "-", agent_id)
    if safe == agent_id and len(prefix + safe) <= _QUEUE_NAME_MAX:
        return prefix + safe
    suffix = "-" + digest(agent_id)[:8]
    return (prefix + safe)[: _QUEUE_NAME_MAX - len(suffix)] + suffix


def _settings(dispatcher: DispatcherLike, agent_id: str) -> AgentSettings:
    channels = dispatcher.channels
    return AgentSettings(
        stage=dispatcher.config.stage,
        agent_id=agent_id,
        attempts_table=dispatcher.state.attempts.table_name,
        results_queue_url=channels.results.queue_url,
        events_queue_url=channels.events.queue_url,
        intake_queue_urls=",".join(queue.queue_url for queue in channels.intake_queues),
        claims_bucket=dispatcher.state.claims.bucket_name,
    )


def _allow_agent(function: PythonFunction, dispatcher: DispatcherLike) -> None:
    """An agent may update its attempt, nudge, emit, submit and exchange large values. It cannot read any table."""
    claims, channels = dispatcher.state.claims, dispatcher.channels
    function.allow("dynamodb:UpdateItem", on=[dispatcher.state.attempts.table_arn])
    queues = (channels.results, channels.events, *channels.intake_queues)
    function.allow("sqs:SendMessage", on=[queue.queue_arn for queue in queues])
    function.allow("s3:GetObject", "s3:PutObject", on=[claims.arn_for_objects("claims/*")])
