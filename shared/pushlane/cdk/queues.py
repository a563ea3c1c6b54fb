"""Queues: every working queue has a dead-letter queue; nothing is dropped silently."""

from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from pushlane.cdk.alarms import Alarms
from pushlane.cdk.stage import tls_only
from pushlane.model.dead_letters import DeadLetterKind, DeadLetterPlace
from pushlane.settings.stage import StageConfig

# Not one, because a duplicate or a deploy also counts as a receive; few, because a poison message costs each time.
MAX_RECEIVE_COUNT: Final = 5
_RETENTION: Final = cdk.Duration.days(14)


class DeadLetterQueue(sqs.Queue):
    """Where undeliverable messages wait for an operator: 14 days, the longest that SQS keeps anything. It has an alarm.

    `name` is what operators call it, `kind` what lies there.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: StageConfig,
        alarms: Alarms,
        name: str,
        kind: DeadLetterKind = DeadLetterKind.QUEUE,
        fifo: bool = False,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=tls_only(config),
            fifo=True if fifo else None,  # SQS refuses an explicit false
            retention_period=_RETENTION,
        )
        self._name = name
        self._kind = kind
        self._back_to: str | None = None
        alarms.watch(self, name)

    def take_from(self, queue: sqs.Queue) -> None:
        """What lies here came from `queue` and can go back there, unless several queues share this one."""
        if self._kind is DeadLetterKind.QUEUE:
            self._back_to = queue.queue_url

    @property
    def place(self) -> DeadLetterPlace:
        """How operators find it."""
        return DeadLetterPlace(name=self._name, kind=self._kind, url=self.queue_url, back_to=self._back_to)


class WorkQueue(sqs.Queue):
    """A queue with a consumer. Its visibility is six times the consumer's timeout, as event source mappings need it.

    `name` is only set where a grant depends on the name. `max_receive_count`: as often a message is tried.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: StageConfig,
        consumer_timeout_seconds: int,
        dead_letters: DeadLetterQueue,
        fifo: bool = False,
        name: str | None = None,
        max_receive_count: int = MAX_RECEIVE_COUNT,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            queue_name=name,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=tls_only(config),
            fifo=True if fifo else None,
            # A throughput and a memory of duplicates for each group: one group cannot use up those of another.
            deduplication_scope=sqs.DeduplicationScope.MESSAGE_GROUP if fifo else None,
            fifo_throughput_limit=sqs.FifoThroughputLimit.PER_MESSAGE_GROUP_ID if fifo else None,
            retention_period=_RETENTION,
            visibility_timeout=cdk.Duration.seconds(6 * consumer_timeout_seconds),
            dead_letter_queue=sqs.DeadLetterQueue(queue=dead_letters, max_receive_count=max_receive_count),
        )
        dead_letters.take_from(self)
