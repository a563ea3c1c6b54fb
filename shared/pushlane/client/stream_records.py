"""Records of the intake stream read again by their position, while the stream still has them."""

from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from pushlane.client.way_back import Stays, StreamPosition, StreamRecord

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

_GONE: Final = frozenset({"ResourceNotFoundException", "InvalidArgumentException", "ExpiredIteratorException"})
_READ_MAX: Final = 1_000
# A mapping's batch is 100 records; a request can also come back empty where the shard has a gap.
_REQUESTS_MAX: Final = 20


def read_records(
    kinesis: "KinesisClient", stream_name: str, position: StreamPosition
) -> tuple[StreamRecord, ...] | Stays:
    """The records from start to end of `position`, both included; why not when the stream has lost some of them."""
    try:
        found = _read(kinesis, stream_name, position)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _GONE:
            raise
        found = ()
    if not found or found[0].source_id != _source_id(position, position.start_sequence_number):
        return Stays("the stream no longer has its records: have them submitted again")
    return found


def _read(kinesis: "KinesisClient", stream_name: str, position: StreamPosition) -> tuple[StreamRecord, ...]:
    iterator: str | None = kinesis.get_shard_iterator(
        StreamName=stream_name,
        ShardId=position.shard_id,
        ShardIteratorType="AT_SEQUENCE_NUMBER",
        StartingSequenceNumber=position.start_sequence_number,
    )["ShardIterator"]
    found: list[StreamRecord] = []
    last = int(position.end_sequence_number)
    for _ in range(_REQUESTS_MAX):
        if iterator is None:
            break
        answer = kinesis.get_records(ShardIterator=iterator, Limit=_READ_MAX)
        for record in answer["Records"]:
            if int(record["SequenceNumber"]) > last:
                return tuple(found)
            source_id = _source_id(position, record["SequenceNumber"])
            found.append(StreamRecord(source_id=source_id, body=record["Data"]))
            if int(record["SequenceNumber"]) == last:
                return tuple(found)
        iterator = answer.get("NextShardIterator")
    return tuple(found)


def _source_id(position: StreamPosition, sequence_number: str) -> str:
    """As Lambda's `eventID` names a record, which is its identity at this door."""
    return f"{position.shard_id}:{sequence_number}"
