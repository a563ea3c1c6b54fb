"""DynamoDB stream events (as Lambda delivers them) -> committed changes."""

from collections.abc import Mapping
from typing import Any

from pushlane.aws.marshal import PK, SK, attributes_from_wire
from pushlane.ports import Attributes, Change, Key, Table


def changes(event: Mapping[str, Any], tables: Mapping[Table, str]) -> list[Change]:
    """The changes of a stream batch in order; `tables` gives the physical names, which the stream's ARN contains.

    Raises `KeyError` for a stream of another table: a mapping that was wired wrong.
    """
    by_name = {name: table for table, name in tables.items()}
    return [_change(record, by_name) for record in event["Records"]]


def _change(record: Mapping[str, Any], by_name: Mapping[str, Table]) -> Change:
    stored = record["dynamodb"]
    table = by_name[_table_name(record["eventSourceARN"])]
    key = Key(table, stored["Keys"][PK]["S"], stored["Keys"][SK]["S"])
    return Change(key, _image(stored, "OldImage"), _image(stored, "NewImage"))


def _table_name(stream_arn: str) -> str:
    """arn:aws:dynamodb:region:account:table/NAME/stream/LABEL"""
    return stream_arn.split("/")[1]


def _image(stored: Mapping[str, Any], name: str) -> Attributes | None:
    return attributes_from_wire(stored[name]) if stored.get(name) else None
