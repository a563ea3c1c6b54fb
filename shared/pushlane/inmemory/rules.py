"""What a write means: conditions and changes, interpreted as DynamoDB does."""

from pushlane.ports import (
    Absent,
    AnyOf,
    AtLeast,
    AtMost,
    Attributes,
    Condition,
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


def allowed(operation: Write, stored: Attributes | None) -> bool:
    """All conditions hold for what is stored (None: no item)."""
    return all(holds(condition, stored) for condition in operation.conditions)


def holds(condition: Condition, stored: Attributes | None) -> bool:
    """One condition. A comparison with an attribute that is not there, or of another type, is false."""
    attributes = stored or {}
    match condition:
        case Present():
            return stored is not None
        case Absent():
            return stored is None
        case Missing(name=name):
            return name not in attributes
        case Equals(name=name, value=value):
            return name in attributes and _same(attributes[name], value)
        case AtMost(name=name, value=limit):
            number = _number(attributes.get(name))
            return number is not None and number <= limit
        case AtLeast(name=name, value=limit):
            number = _number(attributes.get(name))
            return number is not None and number >= limit
        case AnyOf(conditions=conditions):
            return any(holds(one, stored) for one in conditions)


def changed(operation: Write, stored: Attributes | None) -> dict[str, Scalar] | None:
    """The attributes after the write; None when there is no item then."""
    match operation:
        case Put(attributes=attributes):
            return copied(attributes)
        case Update():
            return _updated(operation, stored or {})
        case Delete():
            return None


def copied(attributes: Attributes) -> dict[str, Scalar]:
    """A copy that shares no list with the caller's."""
    return {name: list(value) if isinstance(value, list) else value for name, value in attributes.items()}


def _updated(update: Update, stored: Attributes) -> dict[str, Scalar]:
    after = {**stored, **copied(update.set)}
    for name, delta in update.add.items():
        before = _number(stored.get(name, 0))
        if before is None:
            raise InvalidRequest(f"add to {name!r}: the stored value is no number")
        after[name] = before + delta
    for name in update.remove:
        after.pop(name, None)
    return after


def _same(stored: Scalar, value: Scalar) -> bool:
    return type(stored) is type(value) and stored == value


def _number(value: Scalar | None) -> int | None:
    return None if isinstance(value, bool) or not isinstance(value, int) else value
