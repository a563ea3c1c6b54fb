"""The four doors: how one batch of events goes in through each, and which of its entries were not taken."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from msgspec import Struct

from pushlane.aws.batches import Limits
from pushlane.client.aws_clients import AwsClients
from pushlane.client.installation import Installation
from pushlane.model.events import SUBMIT_DETAIL_TYPE
from pushlane.model.ids import intake_queue_of, intake_slot
from pushlane.model.task import Door

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

EVENT_SOURCE: Final = "pushlane.client"
# 256 KiB holds on every service and emulator; AWS has since raised some of them to 1 MiB.
_TEN: Final = Limits(entries=10, size_bytes=256 * 1024)
_STREAM: Final = Limits(entries=500, size_bytes=4 * 1024 * 1024)


class Record(Struct, frozen=True, kw_only=True):
    """One encoded event on its way out. `index` is its place in the caller's list; `detail_type` is for the bus."""

    index: int
    tenant_id: str
    body: str
    detail_type: str = SUBMIT_DETAIL_TYPE


class Miss(Struct, frozen=True, kw_only=True):
    """An entry that the door did not take. `again`: the same entry may pass later."""

    index: int
    reason: str
    again: bool = True


class DoorSender(Protocol):
    """One way in."""

    limits: Limits

    def route(self, record: Record) -> str:
        """Records of one request share this."""
        ...

    def send(self, route: str, batch: Sequence[Record]) -> list[Miss]:
        """Send one request and return what it did not take; botocore's errors mean the whole request."""
        ...


class SqsDoor:
    """Straight to the intake queue of the tenant's slot, so that tenants do not stand behind those of other queues.

    `fair_queues`: a message's group is its tenant, the fairness group of a standard queue on AWS.
    """

    limits = _TEN

    def __init__(self, sqs: "SQSClient", queue_urls: Sequence[str], *, fair_queues: bool) -> None:
        self._sqs = sqs
        self._queue_urls = queue_urls
        self._fair_queues = fair_queues

    def route(self, record: Record) -> str:
        return _of_tenant(self._queue_urls, record.tenant_id)

    def send(self, route: str, batch: Sequence[Record]) -> list[Miss]:
        entries: Any = [
            {"Id": str(r.index), "MessageBody": r.body, **_group(r, fair_queues=self._fair_queues)} for r in batch
        ]
        answer = self._sqs.send_message_batch(QueueUrl=route, Entries=entries)
        return [_batch_miss(failed) for failed in answer.get("Failed", [])]


class SnsDoor:
    """Published to the topic of the tenant's queue. `fair_queues`: its group, the tenant, goes on to the queue."""

    limits = _TEN

    def __init__(self, sns: "SNSClient", topic_arns: Sequence[str], *, fair_queues: bool) -> None:
        self._sns = sns
        self._topic_arns = topic_arns
        self._fair_queues = fair_queues

    def route(self, record: Record) -> str:
        return _of_tenant(self._topic_arns, record.tenant_id)

    def send(self, route: str, batch: Sequence[Record]) -> list[Miss]:
        entries: Any = [
            {"Id": str(r.index), "Message": r.body, **_group(r, fair_queues=self._fair_queues)} for r in batch
        ]
        answer = self._sns.publish_batch(TopicArn=route, PublishBatchRequestEntries=entries)
        return [_batch_miss(failed) for failed in answer.get("Failed", [])]


class EventBridgeDoor:
    """Put on the ingress bus, whose rules choose the intake queue by the `intake` in the event's metadata."""

    limits = _TEN

    def __init__(self, events: "EventBridgeClient", bus_name: str) -> None:
        self._events = events
        self._bus_name = bus_name

    def route(self, record: Record) -> str:
        return self._bus_name

    def send(self, route: str, batch: Sequence[Record]) -> list[Miss]:
        common = {"EventBusName": route, "Source": EVENT_SOURCE}
        entries: Any = [{**common, "DetailType": record.detail_type, "Detail": record.body} for record in batch]
        return _positional_misses(batch, self._events.put_events(Entries=entries)["Entries"])


class KinesisDoor:
    """Written to the intake stream; a tenant's records share a shard, so they keep their order."""

    limits = _STREAM

    def __init__(self, kinesis: "KinesisClient", stream_name: str) -> None:
        self._kinesis = kinesis
        self._stream_name = stream_name

    def route(self, record: Record) -> str:
        return self._stream_name

    def send(self, route: str, batch: Sequence[Record]) -> list[Miss]:
        records: Any = [{"Data": r.body.encode(), "PartitionKey": r.tenant_id} for r in batch]
        return _positional_misses(batch, self._kinesis.put_records(StreamName=route, Records=records)["Records"])


def doors(installation: Installation, aws: AwsClients) -> dict[Door, DoorSender]:
    """Every door of an installation."""
    fair_queues = installation.stage != "local"
    return {
        Door.EVENTBRIDGE: EventBridgeDoor(aws.events, installation.ingress_bus_name),
        Door.SNS: SnsDoor(aws.sns, installation.intake_topic_arns, fair_queues=fair_queues),
        Door.SQS: SqsDoor(aws.sqs, installation.intake_queue_urls, fair_queues=fair_queues),
        Door.KINESIS: KinesisDoor(aws.kinesis, installation.stream_name),
    }


def _of_tenant(ways: Sequence[str], tenant_id: str) -> str:
    """The one of several ways in, one an intake queue, that is the tenant's."""
    return ways[intake_queue_of(intake_slot(tenant_id), len(ways))]


def _group(record: Record, *, fair_queues: bool) -> dict[str, str]:
    return {"MessageGroupId": record.tenant_id} if fair_queues else {}


def _batch_miss(failed: Mapping[str, Any]) -> Miss:
    reason = f"{failed.get('Code', 'Unknown')}: {failed.get('Message', '')}"
    return Miss(index=int(failed["Id"]), reason=reason, again=not failed.get("SenderFault", False))


def _positional_misses(batch: Sequence[Record], answers: Sequence[Mapping[str, Any]]) -> list[Miss]:
    """EventBridge and Kinesis answer in the order of the request, with an error code where an entry failed."""
    return [
        Miss(index=record.index, reason=f"{answer['ErrorCode']}: {answer.get('ErrorMessage', '')}")
        for record, answer in zip(batch, answers, strict=True)
        if answer.get("ErrorCode")
    ]
