"""`TaskListing` on DynamoDB: the index `by_tenant` of the tasks table."""

from typing import TYPE_CHECKING, Any, Final

from pushlane.aws.backoff import DEFAULT_BACKOFF, Backoff
from pushlane.aws.failures import SEND_ERRORS, Failure, SendError, failure_of
from pushlane.aws.marshal import PK, SK, item_from_wire
from pushlane.model.errors import StoreUnavailable
from pushlane.ports import InvalidRequest, Item, Listed, Table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

INDEX: Final = "by_tenant"
_BUCKET: Final = "tenant_bucket"
_TIME: Final = "accepted_at_ms"
_TASK: Final = "TASK"


class DynamoTaskListing:
    """Reads are eventually consistent, as those of every global index are."""

    def __init__(self, client: "DynamoDBClient", tasks_table: str, *, backoff: Backoff = DEFAULT_BACKOFF) -> None:
        self._client = client
        self._table = tasks_table
        self._backoff = backoff

    def newest(
        self, bucket: str, *, since_ms: int, until_ms: int, limit: int, behind: tuple[int, str] | None = None
    ) -> list[Listed]:
        """See `TaskListing.newest`."""
        parameters: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": INDEX,
            "KeyConditionExpression": "#b = :b AND #t BETWEEN :since AND :until",
            "ExpressionAttributeNames": {"#b": _BUCKET, "#t": _TIME},
            "ExpressionAttributeValues": {
                ":b": {"S": bucket},
                ":since": {"N": str(since_ms)},
                ":until": {"N": str(until_ms)},
            },
            "ScanIndexForward": False,
        }
        if behind is not None:
            at_ms, task_id = behind
            parameters["ExclusiveStartKey"] = {
                _BUCKET: {"S": bucket},
                _TIME: {"N": str(at_ms)},
                PK: {"S": task_id},
                SK: {"S": _TASK},
            }
        found: list[Listed] = []
        while len(found) < limit:
            page = self._page({**parameters, "Limit": limit - len(found)})
            found += [_listed(item_from_wire(Table.TASKS, wire)) for wire in page["Items"]]
            if not page.get("LastEvaluatedKey"):
                break
            parameters["ExclusiveStartKey"] = page["LastEvaluatedKey"]
        return found

    def _page(self, parameters: dict[str, Any]) -> Any:
        last: SendError | None = None
        for _ in self._backoff.sends():
            try:
                return self._client.query(**parameters)
            except SEND_ERRORS as error:
                if failure_of(error) is Failure.REFUSED:
                    raise InvalidRequest(f"DynamoDB refuses the call: {error}") from error
                last = error
        raise StoreUnavailable(f"DynamoDB did not answer ({last}): read again later") from last


def _listed(item: Item) -> Listed:
    said = item.attributes
    return Listed(
        task_id=item.key.pk,
        accepted_at_ms=int(str(said[_TIME])),
        status=str(said["status"]),
        task_type=str(said["task_type"]),
        tier=str(said["tier"]),
    )
