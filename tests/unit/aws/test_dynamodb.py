"""What the emulators never answer: unprocessed keys, conflicts, throttling."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from pushlane.aws.backoff import Backoff
from pushlane.aws.dynamodb import DynamoItemStore
from pushlane.model.errors import StoreUnavailable
from pushlane.ports import (
    Absent,
    CancelReason,
    Delete,
    InvalidRequest,
    Item,
    Key,
    Put,
    Table,
    TransactionCancelled,
    Update,
)

A = Key(Table.TASKS, "a", "s")
B = Key(Table.SCHEDULER, "b", "s")
TABLES = {Table.TASKS: "tasks-1", Table.SCHEDULER: "scheduler-1"}


def wire(key: Key, **more: Any) -> dict[str, Any]:
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}, **more}


@pytest.fixture
def stubbed() -> Iterator[tuple[DynamoItemStore, Stubber]]:
    config = Config(retries={"total_max_attempts": 1})
    client = boto3.client(
        "dynamodb", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test", config=config
    )
    with Stubber(client) as stubber:
        yield DynamoItemStore(client, TABLES, backoff=Backoff(sends_max=3, sleep=lambda _: None)), stubber
        stubber.assert_no_pending_responses()


def cancelled_by(stubber: Stubber, *reasons: dict[str, Any]) -> None:
    stubber.add_client_error(
        "transact_write_items",
        "TransactionCanceledException",
        http_status_code=400,
        modeled_fields={"CancellationReasons": list(reasons)},
    )


def test_unprocessed_keys_are_read_again(stubbed: tuple[DynamoItemStore, Stubber]) -> None:
    store, stubber = stubbed
    left = {"scheduler-1": {"Keys": [wire(B)], "ConsistentRead": True}}
    both = {"tasks-1": {"Keys": [wire(A)], "ConsistentRead": True}, **left}
    first = {"Responses": {"tasks-1": [wire(A, n={"N": "1"})]}, "UnprocessedKeys": left}
    stubber.add_response("batch_get_item", first, {"RequestItems": both})
    stubber.add_response("batch_get_item", {"Responses": {"scheduler-1": [wire(B)]}}, {"RequestItems": left})
    assert store.get([A, B]) == {A: Item(A, {"n": 1}), B: Item(B, {})}


def test_keys_that_stay_unprocessed_make_the_store_unavailable(stubbed: tuple[DynamoItemStore, Stubber]) -> None:
    store, stubber = stubbed
    left = {"tasks-1": {"Keys": [wire(A)], "ConsistentRead": True}}
    for _ in range(3):
        stubber.add_response("batch_get_item", {"Responses": {}, "UnprocessedKeys": left})
    with pytest.raises(StoreUnavailable, match="unread"):
        store.get([A, B])


def test_each_cancellation_reason_is_reported_for_its_operation(stubbed: tuple[DynamoItemStore, Stubber]) -> None:
    store, stubber = stubbed
    cancelled_by(
        stubber,
        {"Code": "TransactionConflict"},
        {"Code": "None"},
        {"Code": "ThrottlingError"},
        {"Code": "ProvisionedThroughputExceeded"},
        {"Code": "ConditionalCheckFailed", "Item": wire(B, n={"N": "2"})},
    )
    keys = [Key(Table.TASKS, str(n), "s") for n in range(4)]
    with pytest.raises(TransactionCancelled) as failed:
        store.transact([*(Delete(key) for key in keys), Put(B, {}, (Absent(),))], "token")
    assert [(one.index, one.reason, one.item) for one in failed.value.cancelled] == [
        (0, CancelReason.CONFLICT, None),
        (2, CancelReason.THROTTLED, None),
        (3, CancelReason.THROTTLED, None),
        (4, CancelReason.CONDITION, Item(B, {"n": 2})),
    ]


def test_an_operation_that_dynamodb_finds_invalid_is_named(stubbed: tuple[DynamoItemStore, Stubber]) -> None:
    store, stubber = stubbed
    cancelled_by(stubber, {"Code": "None"}, {"Code": "ValidationError", "Message": "Item size has exceeded"})
    with pytest.raises(InvalidRequest, match="#1: ValidationError: Item size"):
        store.transact([Delete(A), Delete(B)], "token")


def test_a_throttled_transaction_is_sent_again_and_then_unavailable(stubbed: tuple[DynamoItemStore, Stubber]) -> None:
    store, stubber = stubbed
    for _ in range(3):
        stubber.add_client_error("transact_write_items", "ThrottlingException", http_status_code=400)
    with pytest.raises(StoreUnavailable, match="ThrottlingException"):
        store.transact([Delete(A)], "token")


def test_a_query_asks_only_for_what_is_left_of_the_limit(stubbed: tuple[DynamoItemStore, Stubber]) -> None:
    store, stubber = stubbed
    asked = {
        "TableName": "scheduler-1",
        "IndexName": "by_turn",
        "ConsistentRead": True,
        "KeyConditionExpression": "#n0 = :v0 AND #n1 >= :v1",
        "ExpressionAttributeNames": {"#n0": "pk", "#n1": "turn_key"},
        "ExpressionAttributeValues": {":v0": {"S": "b"}, ":v1": {"S": "7"}},
    }
    page = {"Items": [wire(B), wire(B)], "LastEvaluatedKey": wire(B)}
    stubber.add_response("query", page, {**asked, "Limit": 3})
    stubber.add_response("query", {"Items": [wire(B)]}, {**asked, "Limit": 1, "ExclusiveStartKey": wire(B)})
    assert len(store.query(Table.SCHEDULER, "b", index="by_turn", limit=3, start="7")) == 3


def test_a_table_that_the_store_was_not_given_is_named(stubbed: tuple[DynamoItemStore, Stubber]) -> None:
    store, _ = stubbed
    with pytest.raises(InvalidRequest, match="'config'"):
        store.write(Update(Key(Table.CONFIG, "a", "b"), set={"x": 1}))
