"""`Postponer` on SQS: a received message is shown again when we say."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class SqsPostponer:
    """`queue_urls`: by ARN, the queues whose messages are postponed."""

    def __init__(self, client: "SQSClient", queue_urls: Mapping[str, str], log: Callable[..., None]) -> None:
        self._client = client
        self._queue_urls = queue_urls
        self._log = log

    def postpone(self, queue_arn: str, receipt: str, seconds: int) -> None:
        """See `Postponer.postpone`. When SQS refuses, the message is shown after the queue's own visibility time."""
        try:
            self._client.change_message_visibility(
                QueueUrl=self._queue_urls[queue_arn], ReceiptHandle=receipt, VisibilityTimeout=seconds
            )
        except (BotoCoreError, ClientError) as error:
            self._log("not-postponed", queue=queue_arn, error=type(error).__name__, reason=str(error)[:500])
