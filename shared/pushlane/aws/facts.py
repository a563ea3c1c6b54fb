"""`FactSink` on the EventBridge bus and the SNS announcements topic."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from pushlane.aws.backoff import DEFAULT_BACKOFF, Backoff
from pushlane.aws.batches import Limits, Unsent, send_all
from pushlane.model.events import FACT_SOURCE
from pushlane.ports import PublishedFact

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sns import SNSClient

BUS_LIMITS: Final = Limits(entries=10, size_bytes=1_048_576)
TOPIC_LIMITS: Final = Limits(entries=10, size_bytes=262_144)
_ATTRIBUTE_TYPE: Final = "String"
_BUS_AGAIN: Final = frozenset({"InternalException", "InternalFailure", "ServiceUnavailable", "ThrottlingException"})


class BusAndTopicSink:
    """Publishes to both, each within its own limits; what one of them refuses still reaches the other."""

    def __init__(
        self,
        events_client: "EventBridgeClient",
        sns_client: "SNSClient",
        bus_name: str,
        topic_arn: str,
        *,
        backoff: Backoff = DEFAULT_BACKOFF,
    ) -> None:
        self._events = events_client
        self._sns = sns_client
        self._bus_name = bus_name
        self._topic_arn = topic_arn
        self._backoff = backoff
        # The two channels are told side by side: a stream's shard waits for this function.
        self._beside = ThreadPoolExecutor(max_workers=1)

    def publish(self, facts: Sequence[PublishedFact]) -> list[int]:
        """See `FactSink.publish`. A fact may be published twice when an answer was lost: it has the same `fact_id`."""
        announced = [index for index, fact in enumerate(facts) if fact.announced]
        if not announced:
            return self._to_bus(facts)
        topic = self._beside.submit(self._to_topic, [facts[index] for index in announced])
        return sorted({*self._to_bus(facts), *(announced[index] for index in topic.result())})

    def _to_bus(self, facts: Sequence[PublishedFact]) -> list[int]:
        sizes = [_bus_bytes(fact) for fact in facts]

        def send_batch(indexes: list[int]) -> Unsent:
            response = self._events.put_events(Entries=[self._bus_entry(facts[index]) for index in indexes])
            # The answer lists results in the order of the entries, without their names.
            results = zip(indexes, response["Entries"], strict=True)
            failed = [(index, result["ErrorCode"]) for index, result in results if result.get("ErrorCode")]
            return Unsent(
                again=[index for index, code in failed if code in _BUS_AGAIN],
                never=[index for index, code in failed if code not in _BUS_AGAIN],
            )

        return send_all(self._bus_name, sizes, BUS_LIMITS, send_batch, self._backoff)

    def _to_topic(self, facts: Sequence[PublishedFact]) -> list[int]:
        sizes = [_topic_bytes(fact) for fact in facts]

        def send_batch(indexes: list[int]) -> Unsent:
            entries = [_topic_entry(index, facts[index]) for index in indexes]
            response = self._sns.publish_batch(TopicArn=self._topic_arn, PublishBatchRequestEntries=entries)
            failed = response.get("Failed", [])
            return Unsent(
                again=[int(one["Id"]) for one in failed if not one["SenderFault"]],
                never=[int(one["Id"]) for one in failed if one["SenderFault"]],
            )

        return send_all(self._topic_arn, sizes, TOPIC_LIMITS, send_batch, self._backoff)

    def _bus_entry(self, fact: PublishedFact) -> Any:
        return {"EventBusName": self._bus_name, "Source": FACT_SOURCE, "DetailType": fact.name, "Detail": fact.body}


def _topic_entry(index: int, fact: PublishedFact) -> Any:
    # SNS refuses empty attribute values; a filter on an absent attribute does not match either.
    attributes = {
        name: {"DataType": _ATTRIBUTE_TYPE, "StringValue": value} for name, value in fact.attributes.items() if value
    }
    return {"Id": str(index), "Message": fact.body, "MessageAttributes": attributes}


def _bus_bytes(fact: PublishedFact) -> int:
    return len(FACT_SOURCE) + len(fact.name.encode()) + len(fact.body.encode())


def _topic_bytes(fact: PublishedFact) -> int:
    attributes = sum(
        len(name.encode()) + len(_ATTRIBUTE_TYPE) + len(value.encode()) for name, value in fact.attributes.items()
    )
    return len(fact.body.encode()) + attributes
