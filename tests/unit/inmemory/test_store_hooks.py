"""The hooks of the in-memory store: faults, the change stream, and what it does not import."""

import subprocess
import sys
from collections.abc import Sequence

import pytest

from pushlane.inmemory import InMemoryItemStore, ManualClock
from pushlane.model.errors import StoreUnavailable
from pushlane.ports import (
    Absent,
    Cancelled,
    CancelReason,
    Change,
    Delete,
    Equals,
    Item,
    Key,
    Put,
    Table,
    TransactionCancelled,
    Update,
    Write,
)

A = Key(Table.TASKS, "a", "s")
B = Key(Table.TASKS, "b", "s")


class Script:
    """Runs a step before and another after the first call of an operation."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls: list[tuple[str, str, tuple[Write, ...]]] = []
        self.raise_before: Exception | None = None
        self.raise_after: Exception | None = None
        self.other_writer: InMemoryItemStore | None = None
        self.others_write: Write = Put(A, {"other": 1})

    def before(self, name: str, operations: Sequence[Write]) -> None:
        self.calls.append(("before", name, tuple(operations)))
        if name != self.name:
            return
        if self.other_writer is not None:
            other, self.other_writer = self.other_writer, None
            other.write(self.others_write)
        if self.raise_before is not None:
            raise self.raise_before

    def after(self, name: str, operations: Sequence[Write]) -> None:
        self.calls.append(("after", name, tuple(operations)))
        if name == self.name and self.raise_after is not None:
            raise self.raise_after


def test_the_hook_sees_every_operation_before_and_after() -> None:
    script = Script("none")
    store = InMemoryItemStore(ManualClock(0), faults=script)
    put = Put(A, {})
    store.write(put)
    store.transact([put], "t")
    store.get([A])
    store.query(Table.TASKS, "a", limit=1)
    names = [("write", (put,)), ("transact", (put,)), ("get", ()), ("query", ())]
    assert script.calls == [(when, name, told) for name, told in names for when in ("before", "after")]


def test_a_conflict_raised_before_applies_nothing() -> None:
    script = Script("transact")
    script.raise_before = TransactionCancelled((Cancelled(0, CancelReason.CONFLICT),))
    store = InMemoryItemStore(ManualClock(0), faults=script)
    with pytest.raises(TransactionCancelled):
        store.transact([Put(A, {})], "t")
    assert store.get([A]) == {}


def test_an_error_raised_after_leaves_the_effect() -> None:
    script = Script("write")
    script.raise_after = StoreUnavailable("lost")
    store = InMemoryItemStore(ManualClock(0), faults=script)
    with pytest.raises(StoreUnavailable):
        store.write(Put(A, {"n": 1}))
    assert store.get([A]) == {A: Item(A, {"n": 1})}


def test_the_hook_can_slip_another_writer_in_between() -> None:
    script = Script("transact")
    store = InMemoryItemStore(ManualClock(0), faults=script)
    script.other_writer = store
    with pytest.raises(TransactionCancelled) as cancelled:
        store.transact([Put(A, {}, (Absent(),))], "t")
    assert cancelled.value.cancelled == (Cancelled(0, CancelReason.CONDITION, Item(A, {"other": 1})),)


def test_the_listener_gets_each_committed_change_once_and_in_order() -> None:
    changes: list[Change] = []
    store = InMemoryItemStore(ManualClock(0), change_listener=changes.append)
    store.write(Put(A, {"n": 1}))
    store.transact([Update(A, add={"n": 1}), Put(B, {})], "t")
    store.transact([Update(A, add={"n": 1}), Put(B, {})], "t")
    store.write(Delete(A))
    assert changes == [
        Change(A, None, {"n": 1}),
        Change(A, {"n": 1}, {"n": 2}),
        Change(B, None, {}),
        Change(A, {"n": 2}, None),
    ]


def test_the_listener_gets_nothing_of_what_changed_nothing_or_failed() -> None:
    changes: list[Change] = []
    store = InMemoryItemStore(ManualClock(0), change_listener=changes.append)
    store.write(Put(A, {"n": 1}))
    changes.clear()
    store.write(Put(A, {"n": 1}))
    store.write(Delete(B))
    with pytest.raises(TransactionCancelled):
        store.transact([Put(B, {}), Delete(A, (Equals("n", 2),))], "t")
    assert changes == []


def test_a_listener_that_writes_does_not_overtake_the_changes_before_its_own() -> None:
    seen: list[Key] = []
    echo = Key(Table.TASKS, "echo", "s")

    def listen(change: Change) -> None:
        seen.append(change.key)
        if change.key == A:
            store.write(Put(echo, {}))

    store = InMemoryItemStore(ManualClock(0), change_listener=listen)
    store.transact([Put(A, {}), Put(B, {})], "t")
    assert seen == [A, B, echo]


def test_all_items_of_a_table_come_in_key_order() -> None:
    store = InMemoryItemStore(ManualClock(0))
    keys = [Key(Table.TASKS, pk, sk) for pk in "ba" for sk in "ba"]
    for key in [*keys, Key(Table.CONFIG, "a", "a")]:
        store.write(Put(key, {}))
    store.write(Delete(keys[0]))
    assert [item.key for item in store.items(Table.TASKS)] == sorted(keys[1:])


def test_importing_it_imports_no_aws_library() -> None:
    code = "import sys, pushlane.inmemory; print({'boto3', 'botocore'} & set(sys.modules))"
    path = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=path)
    assert done.stdout.strip() == "set()"
