"""Answers that are lost after the store applied the request: the request is repeated and the effect is not."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pytest

from pushlane.aws.backoff import Backoff
from pushlane.aws.dynamodb import DynamoItemStore
from pushlane.inmemory import InMemoryItemStore
from pushlane.model.errors import StoreUnavailable
from pushlane.ports import Absent, ConditionFailed, Equals, Key, Missing, Put, Table, Update, Write
from tests.conformance.backends import MEMORY, MINISTACK, Backend, create_tables
from tests.conformance.lost_answers import WAYS_TO_LOSE, Answer, Answers, closed, refusal

COUNTER = Key(Table.SCHEDULER, "POOL#p", "AGENT#a")
TASK = Key(Table.TASKS, "t-1", "TASK")
RESERVE: list[Write] = [Update(COUNTER, add={"used": 1}), Put(TASK, {"status": "DISPATCHED"}, (Absent(),))]

on_ministack = pytest.mark.parametrize("backend", [MINISTACK], indirect=True)
on_memory = pytest.mark.parametrize("backend", [MEMORY], indirect=True)


@pytest.fixture
def token() -> str:
    """A fresh one: an account remembers tokens over all of its tables."""
    return uuid4().hex


def store_and_client(backend: Backend, sends_by_botocore: int, sends_by_us: int = 4) -> tuple[DynamoItemStore, Any]:
    client = backend.client("dynamodb", retries={"mode": "standard", "total_max_attempts": sends_by_botocore})
    backoff = Backoff(sends_max=sends_by_us, sleep=lambda _: None)
    return DynamoItemStore(client, create_tables(client), backoff=backoff), client


@on_ministack
@pytest.mark.parametrize("sends_by_botocore", [1, 4], ids=["we repeat", "botocore repeats"])
@pytest.mark.parametrize("answer", WAYS_TO_LOSE.values(), ids=WAYS_TO_LOSE.keys())
def test_a_transaction_whose_answers_are_lost_is_applied_once(
    backend: Backend, token: str, answer: Answer, sends_by_botocore: int
) -> None:
    store, client = store_and_client(backend, sends_by_botocore)
    lost = Answers(client, "TransactWriteItems", answer, times=2)
    store.transact(RESERVE, token)
    assert store.get([COUNTER])[COUNTER].attributes == {"used": 1}
    assert [request["ClientRequestToken"] for request in lost.requests] == [token] * 3


@on_ministack
def test_a_transaction_that_is_never_answered_can_be_repeated_by_the_caller(backend: Backend, token: str) -> None:
    store, client = store_and_client(backend, 1, sends_by_us=3)
    lost = Answers(client, "TransactWriteItems", closed, times=3)
    with pytest.raises(StoreUnavailable):
        store.transact(RESERVE, token)
    assert len(lost.requests) == 3
    store.transact(RESERVE, token)
    assert store.get([COUNTER])[COUNTER].attributes == {"used": 1}


@on_ministack
def test_a_transaction_that_never_reached_the_store_is_applied_by_its_repetition(backend: Backend, token: str) -> None:
    store, client = store_and_client(backend, 1)
    Answers(client, "TransactWriteItems", refusal(500, "InternalServerError"), times=1, reaching=False)
    store.transact(RESERVE, token)
    assert store.get([COUNTER])[COUNTER].attributes == {"used": 1}


@on_ministack
def test_a_repeated_single_write_meets_its_own_effect_and_shows_the_item_with_its_mark(backend: Backend) -> None:
    store, client = store_and_client(backend, 2)
    store.write(Put(COUNTER, {"epoch": 1}))
    Answers(client, "UpdateItem", refusal(500, "InternalServerError"), times=1)
    with pytest.raises(ConditionFailed) as failed:
        store.write(Update(COUNTER, set={"runner": "me"}, conditions=(Missing("runner"),)))
    assert failed.value.item is not None
    assert failed.value.item.attributes == {"epoch": 1, "runner": "me"}


@on_ministack
def test_an_ambiguous_single_write_is_not_repeated_beyond_botocore(backend: Backend) -> None:
    store, client = store_and_client(backend, 1)
    lost = Answers(client, "UpdateItem", closed, times=9)
    with pytest.raises(StoreUnavailable):
        store.write(Update(COUNTER, add={"used": 1}))
    assert len(lost.requests) == 1
    assert store.get([COUNTER])[COUNTER].attributes == {"used": 1}


@on_ministack
def test_a_single_write_that_meets_a_transaction_is_sent_again(backend: Backend) -> None:
    store, client = store_and_client(backend, 1)
    conflict = refusal(400, "TransactionConflictException")
    refused = Answers(client, "UpdateItem", conflict, times=2, reaching=False)
    assert store.write(Update(COUNTER, set={"lease": 5}, conditions=(Missing("lease"),))) == {"lease": 5}
    assert len(refused.requests) == 3


@on_ministack
def test_a_read_that_is_throttled_beyond_the_retries_says_so(backend: Backend) -> None:
    store, client = store_and_client(backend, 1, sends_by_us=2)
    throttled = Answers(client, "GetItem", refusal(400, "ThrottlingException"), times=9, reaching=False)
    with pytest.raises(StoreUnavailable, match="ThrottlingException"):
        store.get([COUNTER])
    assert len(throttled.requests) == 2


class LosesAnswers:
    """A fault hook that lets `times` transactions through and loses their answers."""

    def __init__(self, times: int) -> None:
        self.left = times

    def before(self, name: str, operations: Sequence[Write]) -> None:
        """Nothing happens before."""

    def after(self, name: str, operations: Sequence[Write]) -> None:
        if name == "transact" and self.left:
            self.left -= 1
            raise StoreUnavailable("injected: the answer is lost")


@on_memory
def test_in_memory_a_lost_answer_can_be_repeated_until_the_token_is_forgotten(backend: Backend) -> None:
    store = InMemoryItemStore(backend.clock, faults=LosesAnswers(1))
    with pytest.raises(StoreUnavailable):
        store.transact(RESERVE[:1], "turn-1")
    backend.clock.advance(10 * 60 * 1_000 - 1)
    store.transact(RESERVE[:1], "turn-1")
    assert store.get([COUNTER])[COUNTER].attributes == {"used": 1}
    backend.clock.advance(1)
    store.transact([Update(COUNTER, add={"used": 1}, conditions=(Equals("used", 1),))], "turn-1")
    assert store.get([COUNTER])[COUNTER].attributes == {"used": 2}
