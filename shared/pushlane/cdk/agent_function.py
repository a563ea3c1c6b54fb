"""An agent as a Lambda function: pushed to through an endpoint of its own, registered when it can receive."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct, IDependable

from pushlane.cdk.alarms import function_throttled
from pushlane.cdk.bundling import Sources
from pushlane.cdk.dispatcher import DispatcherLike
from pushlane.cdk.python_function import PythonFunction
from pushlane.cdk.queues import DeadLetterQueue, WorkQueue
from pushlane.cdk.stage import tls_only
from pushlane.model.dead_letters import DeadLetterKind
from pushlane.model.endpoint import Endpoint, EndpointKind, sqs
from pushlane.model.ids import digest
from pushlane.settings.functions import AgentSettings

AgentEndpoint = Literal["sqs", "lambda", "sns"]

_QUEUE_NAME_MAX: Final = 80
_FUNCTION_NAME_MAX: Final = 64
_TOPIC_NAME_MAX: Final = 256
_MAPPING_CONCURRENCY_MIN: Final = 2  # Lambda accepts no less


class AgentFunction(Construct):
    """One agent. `capabilities` are what it can do (usually task types), `slots` how many tasks it takes at once.

    `entry` is the module with the `@agent` object named `handler`, found under `source_root` (default: the folder of
    the CDK app). The entry in the registry is made last and removed first, so tasks come only while they can be taken.
    What the agent's own code needs beside: `variables` of its environment, `aws_services` that it calls, and the rights
    for them by `running.allow`. `endpoint`: how it is pushed to, by a queue of its own ("sqs"), by asynchronous
    invocations ("lambda"), or by a topic that others may listen to as well ("sns").
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
        endpoint: AgentEndpoint = "sqs",
    ) -> None:
        super().__init__(scope, construct_id)
        self._dispatcher, self._agent_id, self._endpoint = dispatcher, agent_id, endpoint
        self.dead_letters = self._dead_letters()
        self.queue = self._queue(timeout_seconds) if endpoint == "sqs" else None
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
            failed_calls=None if self.queue else self.dead_letters,
            function_name=self._name(_FUNCTION_NAME_MAX) if endpoint == "lambda" else None,
            traced=True,
        )
        for name, value in (variables or {}).items():
            self.running.function.add_environment(name, value)
        _allow_agent(self.running, dispatcher)
        throttled = function_throttled(f"of the agent {agent_id}", self.running.function)
        dispatcher.channels.alarms.add(self, "Throttled", throttled)
        place, first = self._place(slots)
        self.registration = dispatcher.routing.registry.register(
            self,
            "Registration",
            agent_id=agent_id,
            pool=pool,
            capabilities=list(capabilities),
            slots=slots,
            endpoint=place,
        )
        self.registration.node.add_dependency(first)

    def _name(self, characters_max: int) -> str:
        """What the agent is pushed to is called so, where the router's right goes by the name."""
        return dispatch_name(self._dispatcher.routing.agent_queue_prefix, self._agent_id, characters_max)

    def _dead_letters(self) -> DeadLetterQueue:
        return DeadLetterQueue(
            self,
            "DeadLetters",
            config=self._dispatcher.config,
            alarms=self._dispatcher.channels.alarms,
            name=f"agent/{self._agent_id}",
            kind=DeadLetterKind.QUEUE if self._endpoint == "sqs" else DeadLetterKind.CALL,
        )

    def _place(self, slots: int) -> tuple[Endpoint, IDependable]:
        """Where the agent is pushed to, and what has to be there before it is registered."""
        if self.queue is not None:
            return sqs(self.queue.queue_url), self._consume(self.queue, slots)
        if self._endpoint == "lambda":
            function = self.running.function
            return Endpoint(kind=EndpointKind.LAMBDA, target=function.function_arn), self.running
        topic = sns.Topic(
            self,
            "Dispatches",
            topic_name=self._name(_TOPIC_NAME_MAX),
            enforce_ssl=tls_only(self._dispatcher.config),
        )
        subscription = topic.add_subscription(
            subscriptions.LambdaSubscription(self.running.function, dead_letter_queue=self.dead_letters)
        )
        return Endpoint(kind=EndpointKind.SNS, target=topic.topic_arn), subscription

    def _queue(self, timeout_seconds: int) -> WorkQueue:
        return WorkQueue(
            self,
            "Dispatch",
            config=self._dispatcher.config,
            consumer_timeout_seconds=timeout_seconds,
            dead_letters=self.dead_letters,
            name=self._name(_QUEUE_NAME_MAX),
        )

    def _consume(self, queue: WorkQueue, slots: int) -> lambda_.EventSourceMapping:
        """One task an invocation, so that one slow or failing task never holds another back."""
        queue.grant_consume_messages(self.running.role)
        return self.running.function.add_event_source_mapping(
            "Dispatches",
            event_source_arn=queue.queue_arn,
            batch_size=1,
            max_concurrency=max(_MAPPING_CONCURRENCY_MIN, slots),
        )


def dispatch_name(prefix: str, agent_id: str, characters_max: int) -> str:
    """The name of an agent's queue, function or topic: the router's rights go by its prefix. What is not allowed in
    it, or is too long, is replaced by a digest of the id.
    """
    safe = re.sub(r"[^A-Za-z0-9_-]", "-", agent_id)
    if safe == agent_id and len(prefix + safe) <= characters_max:
        return prefix + safe
    suffix = "-" + digest(agent_id)[:8]
    return (prefix + safe)[: characters_max - len(suffix)] + suffix


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
        traces=dispatcher.config.traces,
        traces_ratio=dispatcher.config.traces_ratio,
    )


def _allow_agent(function: PythonFunction, dispatcher: DispatcherLike) -> None:
    """An agent may update its attempt, nudge, emit, submit and exchange large values. It cannot read any table."""
    claims, channels = dispatcher.state.claims, dispatcher.channels
    function.allow("dynamodb:UpdateItem", on=[dispatcher.state.attempts.table_arn])
    queues = (channels.results, channels.events, *channels.intake_queues)
    function.allow("sqs:SendMessage", on=[queue.queue_arn for queue in queues])
    function.allow("s3:GetObject", "s3:PutObject", on=[claims.arn_for_objects("claims/*")])
