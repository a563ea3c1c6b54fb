"""Dispatches to agents that are a function or listen to a topic: `MessageSender` on Lambda and on SNS."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from pushlane.aws.backoff import DEFAULT_BACKOFF, Backoff
from pushlane.aws.batches import Limits, Unsent, send_all
from pushlane.ports import Message

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sns import SNSClient

INVOCATION_LIMITS: Final = Limits(entries=1, size_bytes=1_048_576)
TOPIC_LIMITS: Final = Limits(entries=10, size_bytes=262_144)


class FunctionInvoker:
    """Asynchronous invocations of a function by its ARN, one a message: Lambda has no batch for them."""

    def __init__(self, client: "LambdaClient", *, backoff: Backoff = DEFAULT_BACKOFF) -> None:
        self._client = client
        self._backoff = backoff

    def send(self, function_arn: str, messages: Sequence[Message]) -> list[int]:
        """See `MessageSender.send`. An invocation may happen twice when an answer was lost."""
        sizes = [len(message.body.encode()) for message in messages]

        def send_batch(indexes: list[int]) -> Unsent:
            for index in indexes:
                self._client.invoke(
                    FunctionName=function_arn, InvocationType="Event", Payload=messages[index].body.encode()
                )
            return Unsent()

        return send_all(function_arn, sizes, INVOCATION_LIMITS, send_batch, self._backoff)


class TopicPublisher:
    """Publishes to a topic by its ARN, in batches."""

    def __init__(self, client: "SNSClient", *, backoff: Backoff = DEFAULT_BACKOFF) -> None:
        self._client = client
        self._backoff = backoff

    def send(self, topic_arn: str, messages: Sequence[Message]) -> list[int]:
        """See `MessageSender.send`. A message may be published twice when an answer was lost."""
        sizes = [len(message.body.encode()) for message in messages]

        def send_batch(indexes: list[int]) -> Unsent:
            response = self._client.publish_batch(
                TopicArn=topic_arn,
                PublishBatchRequestEntries=[{"Id": str(index), "Message": messages[index].body} for index in indexes],
            )
            failed = response.get("Failed", [])
            return Unsent(
                again=[int(one["Id"]) for one in failed if not one["SenderFault"]],
                never=[int(one["Id"]) for one in failed if one["SenderFault"]],
            )

        return send_all(topic_arn, sizes, TOPIC_LIMITS, send_batch, self._backoff)
