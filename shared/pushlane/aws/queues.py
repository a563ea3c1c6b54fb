"""`MessageSender` on SQS."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from pushlane.aws.backoff import DEFAULT_BACKOFF, Backoff
from pushlane.aws.batches import Limits, Unsent, send_all
from pushlane.ports import Message

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

LIMITS: Final = Limits(entries=10, size_bytes=1_048_576)


class SqsSender:
    """Sends in batches. `fair_queues`: a message's group becomes the MessageGroupId of SQS fair queues (standard
    queues on AWS; emulators ignore it). A message with a deduplication id is one for a FIFO queue, and always has both.
    """

    def __init__(self, client: "SQSClient", *, fair_queues: bool = False, backoff: Backoff = DEFAULT_BACKOFF) -> None:
        self._client = client
        self._fair_queues = fair_queues
        self._backoff = backoff

    def send(self, queue_url: str, messages: Sequence[Message]) -> list[int]:
        """See `MessageSender.send`. A message may arrive twice when an answer was lost. Refusals are logged."""
        sizes = [len(message.body.encode()) for message in messages]

        def send_batch(indexes: list[int]) -> Unsent:
            entries = [self._entry(index, messages[index]) for index in indexes]
            response = self._client.send_message_batch(QueueUrl=queue_url, Entries=entries)
            failed = response.get("Failed", [])
            return Unsent(
                again=[int(one["Id"]) for one in failed if not one["SenderFault"]],
                never=[int(one["Id"]) for one in failed if one["SenderFault"]],
            )

        return send_all(queue_url, sizes, LIMITS, send_batch, self._backoff)

    def _entry(self, index: int, message: Message) -> Any:
        entry: dict[str, Any] = {"Id": str(index), "MessageBody": message.body}
        if message.delay_seconds:
            entry["DelaySeconds"] = message.delay_seconds
        if message.group is not None and (self._fair_queues or message.deduplication_id is not None):
            entry["MessageGroupId"] = message.group
        if message.deduplication_id is not None:
            entry["MessageDeduplicationId"] = message.deduplication_id
        if message.trace_header is not None:
            header = {"DataType": "String", "StringValue": message.trace_header}
            entry["MessageSystemAttributes"] = {"AWSTraceHeader": header}
        return entry
