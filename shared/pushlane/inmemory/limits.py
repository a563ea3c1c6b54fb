"""DynamoDB's limits, so that what passes in memory passes there too. Sizes are counted as DynamoDB bills them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from pushlane.ports import LOCAL_INDEXES, AnyOf, Condition, InvalidRequest, Key, Put, Scalar, Table, Update, Write

KEYS_MAX: Final = 100
OPERATIONS_MAX: Final = 100
ITEM_BYTES_MAX: Final = 400 * 1024
TRANSACTION_BYTES_MAX: Final = 4 * 1024 * 1024
PK_BYTES_MAX: Final = 2_048
SORT_KEY_BYTES_MAX: Final = 1_024
NUMBER_MAX: Final = 10**38
TOKEN_CHARACTERS_MAX: Final = 36

_KEY_NAMES: Final = frozenset({"pk", "sk"})


def check_operation(operation: Write) -> None:
    """What can be refused without looking at the item; raises `InvalidRequest`."""
    check_key(operation.key)
    for condition in operation.conditions:
        _check_condition(condition)
    names: list[str] = []
    if isinstance(operation, Put):
        names = list(operation.attributes)
    elif isinstance(operation, Update):
        names = [*operation.set, *operation.add, *operation.remove]
        _check_update(operation, names)
    for name in names:
        if name in _KEY_NAMES:
            raise InvalidRequest(f"attribute {name!r} is the key's: a key never changes")


def check_key(key: Key) -> None:
    for name, value, limit in (("pk", key.pk, PK_BYTES_MAX), ("sk", key.sk, SORT_KEY_BYTES_MAX)):
        if not 1 <= len(value.encode()) <= limit:
            raise InvalidRequest(f"{name} of {key} has to have 1 to {limit} bytes")


def check_transaction(operations: Sequence[Write], token: str) -> None:
    """Count, token and distinct items; raises `InvalidRequest`."""
    if not 1 <= len(operations) <= OPERATIONS_MAX:
        raise InvalidRequest(f"{len(operations)} operations in a transaction: 1 to {OPERATIONS_MAX} fit")
    if not 1 <= len(token) <= TOKEN_CHARACTERS_MAX:
        raise InvalidRequest(f"a token of {len(token)} characters: 1 to {TOKEN_CHARACTERS_MAX} fit")
    twice = [key for key, times in Counter(one.key for one in operations).items() if times > 1]
    if twice:
        raise InvalidRequest(f"a transaction touches {twice[0]} twice: fold the operations of an item into one")


def check_item(key: Key, attributes: Mapping[str, Scalar]) -> int:
    """The item's size in bytes; raises `InvalidRequest` for one that cannot be stored."""
    for (table, index), index_key in LOCAL_INDEXES.items():
        if table is key.table and index_key.attribute in attributes:
            _check_index_value(index, index_key.attribute, attributes[index_key.attribute], index_key.numeric)
    size = item_bytes(key, attributes)
    if size > ITEM_BYTES_MAX:
        raise InvalidRequest(f"item {key} would have {size} bytes, at most {ITEM_BYTES_MAX}: put the payload in a blob")
    return size


def check_transaction_bytes(size: int) -> None:
    if size > TRANSACTION_BYTES_MAX:
        raise InvalidRequest(f"a transaction of {size} bytes, at most {TRANSACTION_BYTES_MAX}: commit in parts")


def check_table_index(table: Table, index: str) -> None:
    if (table, index) not in LOCAL_INDEXES:
        raise InvalidRequest(f"table {table} has no index {index!r}: see pushlane.ports.LOCAL_INDEXES")


def item_bytes(key: Key, attributes: Mapping[str, Scalar]) -> int:
    """Names and values in UTF-8, as DynamoDB counts them."""
    of_key = len("pk") + len(key.pk.encode()) + len("sk") + len(key.sk.encode())
    return of_key + sum(len(name.encode()) + _value_bytes(name, value) for name, value in attributes.items())


def _value_bytes(name: str, value: Scalar) -> int:
    if isinstance(value, bool):
        return 1
    if isinstance(value, int):
        if abs(value) >= NUMBER_MAX:
            raise InvalidRequest(f"attribute {name!r}: DynamoDB keeps 38 digits of a number")
        return (len(str(abs(value))) + 1) // 2 + 1 + (value < 0)
    if isinstance(value, str):
        return len(value.encode())
    return 3 + sum(1 + len(one.encode()) for one in _members(name, value))


def _members(name: str, value: object) -> list[str]:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return value
    raise InvalidRequest(f"attribute {name!r} is {type(value).__name__}: stored are str, int, bool and list[str]")


def _check_index_value(index: str, name: str, value: Scalar, numeric: bool) -> None:
    number = isinstance(value, int) and not isinstance(value, bool)
    text = isinstance(value, str) and 1 <= len(value.encode()) <= SORT_KEY_BYTES_MAX
    if not (number if numeric else text):
        raise InvalidRequest(f"attribute {name!r} is the key of index {index!r}: {value!r} does not fit it")


def _check_update(update: Update, names: Sequence[str]) -> None:
    if not names:
        raise InvalidRequest(f"an update of {update.key.pk}/{update.key.sk} changes nothing: name an attribute")
    if len(set(names)) < len(names):
        raise InvalidRequest(f"an update of {update.key.pk}/{update.key.sk} changes an attribute in two ways: {names}")


def _check_condition(condition: Condition) -> None:
    if isinstance(condition, AnyOf):
        if not condition.conditions:
            raise InvalidRequest("AnyOf needs at least one condition: with none it could never hold")
        for one in condition.conditions:
            _check_condition(one)
