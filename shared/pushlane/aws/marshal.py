"""Scalars <-> DynamoDB attribute values. Own codec because boto3's makes `Decimal` of every number."""

from collections.abc import Mapping
from typing import Any, Final

from pushlane.ports import Attributes, InvalidRequest, Item, Key, Scalar, Table

PK: Final = "pk"
SK: Final = "sk"

Wire = dict[str, Any]


def to_wire(name: str, value: Scalar) -> Wire:
    """The attribute value of `value`; raises `InvalidRequest` naming the attribute when it is of no stored type."""
    if isinstance(value, bool):  # before int: a bool is one in Python
        return {"BOOL": value}
    if isinstance(value, int):
        return {"N": str(value)}
    if isinstance(value, str):
        return {"S": value}
    return {"L": [{"S": _member(name, one)} for one in _members(name, value)]}


def _members(name: str, value: object) -> list[object]:
    if isinstance(value, list):
        return value
    raise InvalidRequest(f"attribute {name!r} is {type(value).__name__}: stored are str, int, bool and list[str]")


def _member(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    raise InvalidRequest(f"attribute {name!r} has a list member that is {type(value).__name__}: lists hold strings")


def from_wire(name: str, wire: Mapping[str, Any]) -> Scalar:
    """The scalar of an attribute value; raises `TypeError` naming the attribute for what Pushlane never writes."""
    match wire:
        case {"S": str(text)}:
            return text
        case {"N": str(digits)}:
            return int(digits)
        case {"BOOL": bool(flag)}:
            return flag
        case {"L": list(members)}:
            return [_text(name, member) for member in members]
        case _:
            raise TypeError(
                f"stored attribute {name!r} is of type {'/'.join(wire)}: Pushlane writes S, N, BOOL, L of S"
            )


def _text(name: str, wire: Mapping[str, Any]) -> str:
    value = from_wire(name, wire)
    if not isinstance(value, str):
        raise TypeError(f"stored attribute {name!r} has a list member that is no string")
    return value


def attributes_to_wire(attributes: Attributes) -> Wire:
    return {name: to_wire(name, value) for name, value in attributes.items()}


def attributes_from_wire(wire: Mapping[str, Any]) -> dict[str, Scalar]:
    """The attributes of a stored item without its key."""
    return {name: from_wire(name, value) for name, value in wire.items() if name not in (PK, SK)}


def key_to_wire(key: Key) -> Wire:
    return {PK: {"S": key.pk}, SK: {"S": key.sk}}


def item_from_wire(table: Table, wire: Mapping[str, Any]) -> Item:
    return Item(Key(table, wire[PK]["S"], wire[SK]["S"]), attributes_from_wire(wire))
