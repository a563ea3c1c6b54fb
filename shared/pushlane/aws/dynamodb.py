"""`ItemStore` on DynamoDB.

Who repeats what. The client (botocore) repeats connection errors, 5xx, throttling and `TransactionInProgressException`
by itself, `total_max_attempts` times, with the same token. This layer repeats what is left after that, and what
botocore never repeats (`TransactionConflictException` of a single write). A single write whose answer was lost is
repeated by botocore only, so with `total_max_attempts=1` never. `TransactionCancelled` is repeated by nobody: the
turn plans again.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from botocore.exceptions import ClientError, ParamValidationError

from pushlane.aws.backoff import DEFAULT_BACKOFF, Backoff
from pushlane.aws.expressions import Placeholders, request_parameters
from pushlane.aws.failures import SEND_ERRORS, Failure, SendError, error_code, failure_of
from pushlane.aws.marshal import PK, SK, Wire, attributes_from_wire, item_from_wire, key_to_wire
from pushlane.model.errors import StoreUnavailable
from pushlane.ports import (
    LOCAL_INDEXES,
    Attributes,
    Cancelled,
    CancelReason,
    ConditionFailed,
    Delete,
    IndexKey,
    InvalidRequest,
    Item,
    Key,
    Put,
    Table,
    TokenReused,
    TransactionCancelled,
    Update,
    Write,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KEYS_MAX: Final = 100
_ALL_OLD: Final = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
_REASONS: Final = {
    "ConditionalCheckFailed": CancelReason.CONDITION,
    "TransactionConflict": CancelReason.CONFLICT,
    "ThrottlingError": CancelReason.THROTTLED,
    "ProvisionedThroughputExceeded": CancelReason.THROTTLED,
}

Answer = TypeVar("Answer")


class DynamoItemStore:
    """Items in DynamoDB tables with string keys `pk` and `sk`; `tables` gives their physical names."""

    def __init__(
        self, client: "DynamoDBClient", tables: Mapping[Table, str], *, backoff: Backoff = DEFAULT_BACKOFF
    ) -> None:
        self._client = client
        self._tables = dict(tables)
        self._logical = {name: table for table, name in tables.items()}
        self._backoff = backoff

    def get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        """See `ItemStore.get`. A key named twice is read once."""
        wanted = list(dict.fromkeys(keys))
        if len(wanted) > KEYS_MAX:
            raise InvalidRequest(f"{len(wanted)} keys in one read, at most {KEYS_MAX}: read them in parts")
        items = self._get_one(wanted[0]) if len(wanted) == 1 else self._get_many(wanted)
        return {item.key: item for item in items}

    def query(self, table: Table, pk: str, *, index: str | None = None, limit: int, start: str = "") -> list[Item]:
        """See `ItemStore.query`. For an index, `start` is in terms of the index's sort key (digits when numeric)."""
        parameters = self._key_condition(table, pk, _sort_key(table, index), start)
        if index is not None:
            parameters["IndexName"] = index
        found: list[Item] = []
        while len(found) < limit:
            page = self._repeated(partial(self._client.query, **parameters, Limit=limit - len(found)))
            found += [item_from_wire(table, wire) for wire in page["Items"]]
            if not page.get("LastEvaluatedKey"):
                break
            parameters["ExclusiveStartKey"] = page["LastEvaluatedKey"]
        return found

    def scan(self, table: Table) -> Iterator[Item]:
        """See `ItemScanner.scan`. Consistent, and a page (1 MB) at a time."""
        parameters: dict[str, Any] = {"TableName": self._name(table), "ConsistentRead": True}
        while True:
            page = self._repeated(partial(self._client.scan, **parameters))
            yield from (item_from_wire(table, wire) for wire in page["Items"])
            if not page.get("LastEvaluatedKey"):
                return
            parameters["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def write(self, operation: Write) -> Attributes:
        """See `ItemStore.write`."""
        parameters = self._parameters(operation)
        try:
            response = self._repeated(lambda: self._write_once(operation, parameters))
        except ClientError as error:
            if error_code(error) == "ConditionalCheckFailedException":
                raise ConditionFailed(_old_item(operation, error.response)) from error
            raise
        if isinstance(operation, Put):
            return dict(operation.attributes)
        return attributes_from_wire(response.get("Attributes", {}))

    def transact(self, operations: Sequence[Write], token: str) -> None:
        """See `ItemStore.transact`. `token` has 1 to 36 characters and is remembered for ten minutes."""
        items: list[Any] = [{type(one).__name__: self._parameters(one)} for one in operations]
        try:
            self._repeated(
                lambda: self._client.transact_write_items(TransactItems=items, ClientRequestToken=token), ambiguous=True
            )
        except ClientError as error:
            code = error_code(error)
            if code == "TransactionCanceledException":
                raise _cancelled(operations, error) from error
            if code == "IdempotentParameterMismatchException":
                raise TokenReused(f"token {token!r} named other operations before: derive it from them") from error
            raise

    def _parameters(self, operation: Write) -> dict[str, Any]:
        return {"TableName": self._name(operation.key.table), **request_parameters(operation), **_ALL_OLD}

    def _name(self, table: Table) -> str:
        if table not in self._tables:
            raise InvalidRequest(f"this store was given no table {str(table)!r}: pass its name in `tables`")
        return self._tables[table]

    def _write_once(self, operation: Write, parameters: dict[str, Any]) -> Mapping[str, Any]:
        match operation:
            case Put():
                return self._client.put_item(**parameters)
            case Update():
                return self._client.update_item(**parameters, ReturnValues="ALL_NEW")
            case Delete():
                return self._client.delete_item(**parameters)

    def _get_one(self, key: Key) -> list[Item]:
        parameters: dict[str, Any] = {"TableName": self._name(key.table), "Key": key_to_wire(key)}
        response = self._repeated(partial(self._client.get_item, **parameters, ConsistentRead=True))
        return [item_from_wire(key.table, response["Item"])] if "Item" in response else []

    def _get_many(self, keys: Sequence[Key]) -> list[Item]:
        by_table: dict[str, Any] = {}
        for key in keys:
            request = by_table.setdefault(self._name(key.table), {"Keys": [], "ConsistentRead": True})
            request["Keys"].append(key_to_wire(key))
        found: list[Item] = []
        # Unprocessed keys come back for throttling and for pages over 16 MB alike.
        for _ in self._backoff.sends():
            if not by_table:
                return found
            page = self._repeated(partial(self._client.batch_get_item, RequestItems=by_table))
            found += [item_from_wire(self._logical[n], one) for n, many in page["Responses"].items() for one in many]
            by_table = dict(page.get("UnprocessedKeys", {}))
        if by_table:
            raise StoreUnavailable("DynamoDB left keys of a batch unread every time (throttled): read again later")
        return found

    def _key_condition(self, table: Table, pk: str, sort_key: IndexKey, start: str) -> dict[str, Any]:
        names = Placeholders()
        condition = f"{names.name(PK)} = {names.value(PK, pk)}"
        if start:
            lowest = int(start) if sort_key.numeric else start
            condition += f" AND {names.name(sort_key.attribute)} >= {names.value(sort_key.attribute, lowest)}"
        return {
            "TableName": self._name(table),
            "ConsistentRead": True,
            "KeyConditionExpression": condition,
            **names.parameters(),
        }

    def _repeated(self, call: Callable[[], Answer], *, ambiguous: bool = False) -> Answer:
        """Send until there is an answer. `ambiguous`: the call may be repeated even if it was perhaps applied."""
        last: SendError | None = None
        for _ in self._backoff.sends():
            try:
                return call()
            except ParamValidationError as error:
                raise InvalidRequest(f"not sent to DynamoDB: {error}") from error
            except SEND_ERRORS as error:
                last = error
                failure = failure_of(error)
                if failure is Failure.REFUSED:
                    _refuse(error)
                if failure is Failure.AMBIGUOUS and not ambiguous:
                    break
        raise StoreUnavailable(f"DynamoDB did not answer ({last}): repeat the same call later") from last


def _refuse(error: SendError) -> NoReturn:
    if error_code(error) == "ValidationException":
        raise InvalidRequest(f"DynamoDB refuses the call: {error}") from error
    raise error


def _sort_key(table: Table, index: str | None) -> IndexKey:
    if index is None:
        return IndexKey(SK)
    if (table, index) not in LOCAL_INDEXES:
        raise InvalidRequest(f"table {table} has no index {index!r}: see pushlane.ports.LOCAL_INDEXES")
    return LOCAL_INDEXES[table, index]


def _old_item(operation: Write, holder: Mapping[str, Any]) -> Item | None:
    wire: Wire | None = holder.get("Item")
    return item_from_wire(operation.key.table, wire) if wire else None


def _cancelled(operations: Sequence[Write], error: ClientError) -> TransactionCancelled | InvalidRequest:
    reasons: Sequence[Mapping[str, Any]] = error.response.get("CancellationReasons", [])
    failed = [(index, one) for index, one in enumerate(reasons) if one.get("Code", "None") != "None"]
    for index, one in failed:
        if one["Code"] not in _REASONS:
            return InvalidRequest(f"DynamoDB refuses operation #{index}: {one['Code']}: {one.get('Message', '')}")
    if not failed:
        return InvalidRequest(f"DynamoDB cancelled a transaction without a reason: {error}")
    return TransactionCancelled(
        tuple(Cancelled(index, _REASONS[one["Code"]], _old_item(operations[index], one)) for index, one in failed)
    )
