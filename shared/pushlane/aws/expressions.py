"""Writes and conditions -> DynamoDB expressions. Names and values go through placeholders, so that none is reserved."""

from collections.abc import Iterable
from typing import Any

from pushlane.aws.marshal import PK, SK, Wire, attributes_to_wire, key_to_wire, to_wire
from pushlane.ports import (
    Absent,
    AnyOf,
    AtLeast,
    AtMost,
    Condition,
    Conditions,
    Delete,
    Equals,
    InvalidRequest,
    Missing,
    Present,
    Put,
    Scalar,
    Update,
    Write,
)


class Placeholders:
    """Names and values that an expression uses, each once."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._values: Wire = {}

    def name(self, attribute: str) -> str:
        return self._names.setdefault(attribute, f"#n{len(self._names)}")

    def value(self, attribute: str, value: Scalar) -> str:
        placeholder = f":v{len(self._values)}"
        self._values[placeholder] = to_wire(attribute, value)
        return placeholder

    def parameters(self) -> dict[str, Any]:
        """Only what is used: DynamoDB refuses empty or unused placeholders."""
        names = {placeholder: attribute for attribute, placeholder in self._names.items()}
        found = {"ExpressionAttributeNames": names, "ExpressionAttributeValues": self._values}
        return {parameter: used for parameter, used in found.items() if used}


def request_parameters(operation: Write) -> dict[str, Any]:
    """One write without its table: the same for a single call and within a transaction. Raises `InvalidRequest`."""
    placeholders = Placeholders()
    parameters = _change(operation, placeholders)
    if operation.conditions:
        parameters["ConditionExpression"] = conjunction(operation.conditions, placeholders)
    return parameters | placeholders.parameters()


def _change(operation: Write, placeholders: Placeholders) -> dict[str, Any]:
    key = key_to_wire(operation.key)
    match operation:
        case Put():
            _refuse_key_names(operation.attributes)
            return {"Item": key | attributes_to_wire(operation.attributes)}
        case Update():
            return {"Key": key, "UpdateExpression": update_expression(operation, placeholders)}
        case Delete():
            return {"Key": key}


def update_expression(update: Update, placeholders: Placeholders) -> str:
    """`SET ... ADD ... REMOVE ...`, of what there is."""
    changed = [*update.set, *update.add, *update.remove]
    _refuse_key_names(changed)
    if not changed:
        raise InvalidRequest(f"an update of {update.key.pk}/{update.key.sk} changes nothing: name an attribute")
    if len(set(changed)) < len(changed):
        raise InvalidRequest(
            f"an update of {update.key.pk}/{update.key.sk} changes an attribute in two ways: {changed}"
        )
    name = placeholders.name
    sets = [f"{name(one)} = {placeholders.value(one, value)}" for one, value in update.set.items()]
    adds = [f"{name(one)} {placeholders.value(one, delta)}" for one, delta in update.add.items()]
    removes = [name(one) for one in update.remove]
    clauses = {"SET": sets, "ADD": adds, "REMOVE": removes}
    return " ".join(f"{verb} {', '.join(parts)}" for verb, parts in clauses.items() if parts)


def conjunction(conditions: Conditions, placeholders: Placeholders) -> str:
    """All of the conditions."""
    return " AND ".join(condition_expression(condition, placeholders) for condition in conditions)


def condition_expression(condition: Condition, placeholders: Placeholders) -> str:
    """One condition. A comparison with an attribute that is not there, or of another type, is false."""
    match condition:
        case Present():
            return f"attribute_exists({placeholders.name(PK)})"
        case Absent():
            return f"attribute_not_exists({placeholders.name(PK)})"
        case Missing(name=name):
            return f"attribute_not_exists({placeholders.name(name)})"
        case Equals(name=name, value=value):
            return f"{placeholders.name(name)} = {placeholders.value(name, value)}"
        case AtMost(name=name, value=value):
            return f"{placeholders.name(name)} <= {placeholders.value(name, value)}"
        case AtLeast(name=name, value=value):
            return f"{placeholders.name(name)} >= {placeholders.value(name, value)}"
        case AnyOf(conditions=()):
            raise InvalidRequest("AnyOf needs at least one condition: with none it could never hold")
        case AnyOf(conditions=(only,)):  # DynamoDB refuses redundant parentheses
            return condition_expression(only, placeholders)
        case AnyOf(conditions=conditions):
            return f"({' OR '.join(condition_expression(one, placeholders) for one in conditions)})"


def _refuse_key_names(names: Iterable[str]) -> None:
    for name in names:
        if name in (PK, SK):
            raise InvalidRequest(f"attribute {name!r} is the key's: a key never changes")
