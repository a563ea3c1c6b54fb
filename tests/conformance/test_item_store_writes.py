"""Single writes: what conditions and changes mean, the same on every adapter."""

from collections.abc import Callable

import pytest

from pushlane.ports import (
    Absent,
    AnyOf,
    AtLeast,
    AtMost,
    Condition,
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
    Scalar,
    Table,
    Update,
)
from tests.conformance.backends import Gap

Needs = Callable[[Gap], None]

KEY = Key(Table.SCHEDULER, "POOL#p", "AGENT#a")
STORED: dict[str, Scalar] = {"used": 3, "status": "ACTIVE", "ready": True, "capabilities": ["b", "a"], "name": "größe"}

TRUE_OF_STORED: list[Condition] = [
    Present(),
    Missing("runner"),
    Equals("used", 3),
    Equals("status", "ACTIVE"),
    Equals("ready", True),
    Equals("capabilities", ["b", "a"]),
    AtMost("used", 3),
    AtMost("used", 4),
    AtLeast("used", 3),
    AtLeast("used", 2),
    AnyOf((Missing("used"), Equals("status", "ACTIVE"))),
    AnyOf((AnyOf((Absent(), Present())),)),
]
MIXED_TYPES = (Equals("ready", 1), AtMost("status", 9))
FALSE_OF_STORED: list[Condition] = [
    Absent(),
    Missing("used"),
    Equals("used", 4),
    Equals("used", "3"),
    Equals("status", "active"),
    Equals("ready", False),
    *MIXED_TYPES,
    Equals("capabilities", ["a", "b"]),
    Equals("runner", "r"),
    AtMost("used", 2),
    AtMost("runner", 9),
    AtLeast("used", 4),
    AtLeast("runner", 0),
    AnyOf((Missing("used"), Equals("status", "DRAINING"))),
]
TRUE_OF_NOTHING: list[Condition] = [Absent(), Missing("used"), AnyOf((Equals("used", 1), Missing("used")))]
FALSE_OF_NOTHING: list[Condition] = [
    Present(),
    Equals("used", 0),
    AtMost("used", 9),
    AtLeast("used", 0),
    AnyOf((Present(), Equals("used", 1))),
]


@pytest.mark.parametrize("condition", TRUE_OF_STORED, ids=repr)
def test_a_write_is_applied_when_its_condition_holds_for_the_item(store: ItemStore, condition: Condition) -> None:
    store.write(Put(KEY, STORED))
    assert store.write(Update(KEY, set={"mark": "x"}, conditions=(condition,))) == {**STORED, "mark": "x"}


@pytest.mark.parametrize("condition", FALSE_OF_STORED, ids=repr)
def test_a_write_is_refused_with_the_item_when_its_condition_does_not_hold(
    store: ItemStore, needs: Needs, condition: Condition
) -> None:
    if condition in MIXED_TYPES:
        needs(Gap.TYPES)
    store.write(Put(KEY, STORED))
    for write in (
        Update(KEY, set={"mark": "x"}, conditions=(condition,)),
        Put(KEY, {}, (condition,)),
        Delete(KEY, (condition,)),
    ):
        with pytest.raises(ConditionFailed) as failed:
            store.write(write)
        assert failed.value.item == Item(KEY, STORED)
    assert store.get([KEY])[KEY].attributes == STORED


@pytest.mark.parametrize("condition", TRUE_OF_NOTHING, ids=repr)
def test_a_condition_on_no_item_can_hold(store: ItemStore, condition: Condition) -> None:
    assert store.write(Put(KEY, {"used": 1}, (condition,))) == {"used": 1}


@pytest.mark.parametrize("condition", FALSE_OF_NOTHING, ids=repr)
def test_a_failed_condition_on_no_item_reports_no_item(store: ItemStore, condition: Condition) -> None:
    with pytest.raises(ConditionFailed) as failed:
        store.write(Update(KEY, set={"used": 1}, conditions=(condition,)))
    assert failed.value.item is None
    assert store.get([KEY]) == {}


def test_all_conditions_of_a_write_have_to_hold(store: ItemStore) -> None:
    store.write(Put(KEY, STORED))
    with pytest.raises(ConditionFailed):
        store.write(Delete(KEY, (Present(), Equals("used", 3), Equals("status", "DRAINING"))))
    assert store.write(Delete(KEY, (Present(), Equals("used", 3), Equals("status", "ACTIVE")))) == {}
    assert store.get([KEY]) == {}


def test_a_put_replaces_the_whole_item(store: ItemStore) -> None:
    store.write(Put(KEY, STORED))
    assert store.write(Put(KEY, {"only": 1})) == {"only": 1}
    assert store.get([KEY]) == {KEY: Item(KEY, {"only": 1})}


def test_a_put_without_attributes_stores_the_key_alone(store: ItemStore) -> None:
    store.write(Put(KEY, {}))
    assert store.get([KEY]) == {KEY: Item(KEY, {})}
    with pytest.raises(ConditionFailed) as failed:
        store.write(Put(KEY, {}, (Absent(),)))
    assert failed.value.item == Item(KEY, {})


def test_an_update_creates_the_absent_item_and_counts_from_zero(store: ItemStore) -> None:
    assert store.write(Update(KEY, set={"status": "ACTIVE"}, add={"used": 2})) == {"status": "ACTIVE", "used": 2}
    assert store.write(Update(KEY, add={"used": -3})) == {"status": "ACTIVE", "used": -1}


def test_an_update_sets_adds_and_removes_at_once_and_keeps_the_rest(store: ItemStore) -> None:
    store.write(Put(KEY, STORED))
    after = store.write(Update(KEY, set={"status": "DRAINING"}, add={"used": 1}, remove=("ready", "never_there")))
    assert after == {"used": 4, "status": "DRAINING", "capabilities": ["b", "a"], "name": "größe"}


def test_reserved_words_are_ordinary_attribute_names(store: ItemStore) -> None:
    attributes: dict[str, Scalar] = {"name": "n", "status": "s", "set": 1, "value": 2, "list": ["x"], "size": 3}
    store.write(Put(KEY, attributes))
    after = store.write(Update(KEY, add={"size": 1}, remove=("value",), conditions=(Equals("set", 1),)))
    assert after == {"name": "n", "status": "s", "set": 1, "list": ["x"], "size": 4}


@pytest.mark.parametrize("value", [0, -1, 2**52, 10**37, True, False, "", " ", "\u0000", "é𝄞", [], [""], ["a", "a"]])
def test_every_scalar_comes_back_as_it_was(store: ItemStore, value: Scalar) -> None:
    store.write(Put(KEY, {"value": value}))
    back = store.get([KEY])[KEY].attributes["value"]
    assert (type(back), back) == (type(value), value)


def test_what_a_reader_does_to_an_item_does_not_change_the_stored_one(store: ItemStore) -> None:
    capabilities = ["a"]
    store.write(Put(KEY, {"capabilities": capabilities}))
    capabilities.append("b")
    read = store.get([KEY])[KEY].attributes["capabilities"]
    assert isinstance(read, list)
    read.append("c")
    assert store.get([KEY])[KEY].attributes == {"capabilities": ["a"]}


@pytest.mark.parametrize(
    "write",
    [
        Put(KEY, {"pk": "other"}),
        Update(KEY, set={"sk": "other"}),
        Update(KEY),
        Update(KEY, set={"a": 1}, add={"a": 1}),
        Put(KEY, {}, (AnyOf(()),)),
        Put(Key(Table.SCHEDULER, "", "s"), {}),
        Put(KEY, {"number": 1.5}),  # type: ignore[dict-item]  # what a careless caller would do
        Put(KEY, {"texts": [1]}),  # type: ignore[list-item]  # the same
        Put(KEY, {"body": "x" * 410_000}),
        Put(Key(Table.ATTEMPTS, "p#0", "t"), {"lease_until_ms": "soon"}),
        Put(KEY, {"turn_key": ""}),
    ],
    ids=[
        "key attribute put",
        "key attribute updated",
        "update of nothing",
        "attribute changed twice",
        "no alternative",
        "empty key",
        "float",
        "list of numbers",
        "over 400 KB",
        "text as numeric index key",
        "empty index key",
    ],
)
def test_a_write_that_the_store_cannot_take_is_refused_by_name(
    store: ItemStore, needs: Needs, write: Put | Update
) -> None:
    if write.key.table is Table.ATTEMPTS:
        needs(Gap.LIMITS)
    with pytest.raises(InvalidRequest):
        store.write(write)


def test_add_to_what_is_no_number_is_refused(store: ItemStore) -> None:
    store.write(Put(KEY, STORED))
    with pytest.raises(InvalidRequest):
        store.write(Update(KEY, add={"status": 1}))
