"""Transactions: all or nothing, once per token, and no counter past its limit."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from pushlane.ports import (
    Absent,
    AtMost,
    CancelReason,
    ConditionFailed,
    Delete,
    Equals,
    InvalidRequest,
    Item,
    ItemStore,
    Key,
    Missing,
    Present,
    Put,
    Table,
    TokenReused,
    TransactionCancelled,
    Update,
    Write,
)
from tests.conformance.backends import Gap

A = Key(Table.TASKS, "t-1", "TASK")
B = Key(Table.ATTEMPTS, "p#0", "t-1")
C = Key(Table.SCHEDULER, "POOL#p", "AGENT#a")

Needs = Callable[[Gap], None]


def token() -> str:
    return uuid4().hex


def test_a_transaction_over_several_tables_is_applied_as_a_whole(store: ItemStore) -> None:
    store.write(Put(C, {"used": 0, "gone": "x"}))
    store.transact(
        [
            Put(A, {"status": "DISPATCHED"}, (Absent(),)),
            Put(B, {"lease_until_ms": 5}, (Absent(),)),
            Update(C, add={"used": 1}, remove=("gone",), conditions=(AtMost("used", 0),)),
        ],
        token(),
    )
    found = store.get([A, B, C])
    assert {key: item.attributes for key, item in found.items()} == {
        A: {"status": "DISPATCHED"},
        B: {"lease_until_ms": 5},
        C: {"used": 1},
    }


def test_one_failed_condition_cancels_everything(store: ItemStore) -> None:
    store.write(Put(B, {"epoch": 1}))
    with pytest.raises(TransactionCancelled):
        store.transact([Put(A, {"x": 1}), Put(C, {"x": 1}), Delete(B, (Equals("epoch", 2),))], token())
    assert store.get([A, B, C]) == {B: Item(B, {"epoch": 1})}


def test_every_failed_condition_is_reported_with_its_index_and_the_item_as_it_was(store: ItemStore) -> None:
    store.write(Put(A, {"status": "PARKED", "epoch": 3}))
    operations: list[Write] = [
        Put(A, {}, (Absent(),)),
        Put(C, {"x": 1}),
        Update(B, set={"x": 1}, conditions=(Present(),)),
    ]
    with pytest.raises(TransactionCancelled) as cancelled:
        store.transact(operations, token())
    reported = [(one.index, one.reason, one.item) for one in cancelled.value.cancelled]
    assert reported == [
        (0, CancelReason.CONDITION, Item(A, {"status": "PARKED", "epoch": 3})),
        (2, CancelReason.CONDITION, None),
    ]


def test_a_transaction_sent_again_with_its_token_is_applied_once(store: ItemStore, needs: Needs) -> None:
    needs(Gap.TOKENS)
    operations, name = [Update(C, add={"used": 1})], token()
    for _ in range(3):
        store.transact(operations, name)
    assert store.get([C])[C].attributes == {"used": 1}


def test_a_replay_succeeds_although_its_conditions_no_longer_hold(store: ItemStore, needs: Needs) -> None:
    needs(Gap.TOKENS)
    operations, name = [Put(A, {"x": 1}, (Absent(),))], token()
    store.transact(operations, name)
    store.transact(operations, name)
    assert store.get([A])[A].attributes == {"x": 1}


def test_a_token_used_for_other_operations_is_an_error(store: ItemStore, needs: Needs) -> None:
    needs(Gap.TOKENS)
    name = token()
    store.transact([Put(A, {"x": 1})], name)
    with pytest.raises(TokenReused):
        store.transact([Put(A, {"x": 2})], name)
    assert store.get([A])[A].attributes == {"x": 1}


def test_a_cancelled_transaction_leaves_its_token_free(store: ItemStore) -> None:
    name = token()
    with pytest.raises(TransactionCancelled):
        store.transact([Update(A, set={"x": 1}, conditions=(Present(),))], name)
    store.write(Put(A, {}))
    store.transact([Update(A, set={"x": 1}, conditions=(Present(),))], name)
    assert store.get([A])[A].attributes == {"x": 1}


def test_a_hundred_operations_fit(store: ItemStore) -> None:
    keys = [Key(Table.SCHEDULER, "Q#p", f"{n:03d}") for n in range(100)]
    store.transact([Put(key, {"n": 1}, (Absent(),)) for key in keys], token())
    assert len(store.get(keys)) == 100


@pytest.mark.parametrize(
    ("operations", "name", "gap"),
    [
        pytest.param([Put(A, {}), Update(A, set={"x": 1})], "t", None, id="item twice"),
        pytest.param([Put(Key(Table.SCHEDULER, "Q", str(n)), {}) for n in range(101)], "t", None, id="101 operations"),
        pytest.param([], "t", None, id="no operation"),
        pytest.param([Put(A, {})], "t" * 37, Gap.LIMITS, id="long token"),
        pytest.param([Put(A, {}), Put(B, {"body": "x" * 410_000})], "t", None, id="item over 400 KB"),
        pytest.param([Put(A, {}), Put(B, {"lease_until_ms": "soon"})], "t", Gap.LIMITS, id="index key of wrong type"),
        pytest.param(
            [Put(Key(Table.TASKS, f"t-{n}", "TASK"), {"body": "x" * 390_000}) for n in range(11)],
            "t",
            Gap.LIMITS,
            id="over 4 MB",
        ),
    ],
)
def test_a_transaction_that_the_store_cannot_take_is_refused_and_applies_nothing(
    store: ItemStore, needs: Needs, operations: list[Write], name: str, gap: Gap | None
) -> None:
    if gap is not None:
        needs(gap)
    with pytest.raises(InvalidRequest):
        store.transact(operations, name)
    assert store.get([A, B]) == {}


def test_eight_threads_never_count_past_the_limit_in_transactions(store: ItemStore, needs: Needs) -> None:
    needs(Gap.THREADS)
    limit, per_thread = 20, 6
    store.write(Put(C, {"used": 0}))

    def reserve(number: int) -> bool:
        mine = Key(Table.ATTEMPTS, "p#0", f"t-{number}")
        counted = Update(C, add={"used": 1}, conditions=(AtMost("used", limit - 1),))
        try:
            store.transact([counted, Put(mine, {"lease_until_ms": number}, (Absent(),))], token())
        except TransactionCancelled:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        reserved = sum(threads.map(reserve, range(8 * per_thread)))
    assert reserved == limit
    assert store.get([C])[C].attributes == {"used": limit}
    assert len(store.query(Table.ATTEMPTS, "p#0", limit=100)) == limit


def test_eight_threads_never_count_past_the_limit_in_single_writes(store: ItemStore, needs: Needs) -> None:
    needs(Gap.THREADS)
    limit = 20

    def count(_: int) -> bool:
        try:
            store.write(Update(C, add={"used": 1}, conditions=(AtMost("used", limit - 1),)))
        except ConditionFailed:
            return False
        return True

    store.write(Put(C, {"used": 0}))
    with ThreadPoolExecutor(8) as threads:
        counted = sum(threads.map(count, range(48)))
    assert counted == limit
    assert store.get([C])[C].attributes == {"used": limit}


def test_of_eight_invocations_one_becomes_the_runner(store: ItemStore, needs: Needs) -> None:
    needs(Gap.THREADS)
    store.write(Put(B, {"epoch": 1}))

    def start(number: int) -> str | None:
        try:
            store.write(Update(B, set={"runner": f"r{number}"}, conditions=(Missing("runner"), Equals("epoch", 1))))
        except ConditionFailed:
            return None
        return f"r{number}"

    with ThreadPoolExecutor(8) as threads:
        runners = [runner for runner in threads.map(start, range(8)) if runner]
    assert [store.get([B])[B].attributes["runner"]] == runners
