"""Reads: order, limits, pages and sparse local indexes."""

import pytest

from pushlane.ports import InvalidRequest, ItemStore, Key, Put, Scalar, Table, Update

PK = "Q#p#s#normal#acme"


def put(store: ItemStore, table: Table, sk: str, attributes: dict[str, Scalar] | None = None, pk: str = PK) -> Key:
    key = Key(table, pk, sk)
    store.write(Put(key, attributes or {}))
    return key


def sort_keys(store: ItemStore, table: Table, index: str | None = None, limit: int = 100, start: str = "") -> list[str]:
    return [item.key.sk for item in store.query(table, PK, index=index, limit=limit, start=start)]


def test_a_query_returns_one_partition_in_sort_key_order(store: ItemStore) -> None:
    for sk in ("b", "a", "Z", "é", "aa", "10", "9"):
        put(store, Table.SCHEDULER, sk)
    put(store, Table.SCHEDULER, "a", pk=PK + "x")
    put(store, Table.TASKS, "a")
    assert sort_keys(store, Table.SCHEDULER) == ["10", "9", "Z", "a", "aa", "b", "é"]


def test_a_query_starts_at_a_sort_key_and_ends_at_its_limit(store: ItemStore) -> None:
    for sk in "abcde":
        put(store, Table.SCHEDULER, sk)
    assert sort_keys(store, Table.SCHEDULER, limit=2) == ["a", "b"]
    assert sort_keys(store, Table.SCHEDULER, start="c", limit=2) == ["c", "d"]
    assert sort_keys(store, Table.SCHEDULER, start="cc") == ["d", "e"]
    assert sort_keys(store, Table.SCHEDULER, start="f") == []


def test_a_query_of_an_unknown_partition_is_empty(store: ItemStore) -> None:
    assert store.query(Table.SCHEDULER, "nothing", limit=10) == []
    assert store.query(Table.SCHEDULER, "nothing", index="by_turn", limit=10) == []


def test_a_query_goes_on_past_a_page_of_one_megabyte(store: ItemStore) -> None:
    for number in range(8):
        put(store, Table.SCHEDULER, f"{number}", {"body": "x" * 300_000})
    assert sort_keys(store, Table.SCHEDULER) == list("01234567")
    assert sort_keys(store, Table.SCHEDULER, limit=7) == list("0123456")


def test_a_numeric_index_is_in_the_order_of_numbers(store: ItemStore) -> None:
    for sk, lease in (("a", 100), ("b", 20), ("c", 3), ("d", -5)):
        put(store, Table.ATTEMPTS, sk, {"lease_until_ms": lease, "pool": "p"})
    assert sort_keys(store, Table.ATTEMPTS, "by_lease") == ["d", "c", "b", "a"]
    assert sort_keys(store, Table.ATTEMPTS, "by_lease", start="20") == ["b", "a"]
    assert sort_keys(store, Table.ATTEMPTS, "by_lease", limit=1) == ["d"]
    assert store.query(Table.ATTEMPTS, PK, index="by_lease", limit=1)[0].attributes == {
        "lease_until_ms": -5,
        "pool": "p",
    }


def test_a_text_index_starts_at_its_own_key(store: ItemStore) -> None:
    for sk, turn in (("x", "0002#a"), ("y", "0001#b"), ("z", "0003#c")):
        put(store, Table.SCHEDULER, sk, {"turn_key": turn})
    assert sort_keys(store, Table.SCHEDULER, "by_turn") == ["y", "x", "z"]
    assert sort_keys(store, Table.SCHEDULER, "by_turn", start="0002") == ["x", "z"]


def test_items_with_equal_index_keys_are_all_found(store: ItemStore) -> None:
    for sk in "abc":
        put(store, Table.ATTEMPTS, sk, {"lease_until_ms": 7})
    assert sorted(sort_keys(store, Table.ATTEMPTS, "by_lease", start="7")) == ["a", "b", "c"]


def test_items_without_the_index_key_are_not_in_the_index(store: ItemStore) -> None:
    put(store, Table.SCHEDULER, "out", {"depth": 0})
    put(store, Table.SCHEDULER, "in", {"turn_key": "1", "depth": 1})
    assert sort_keys(store, Table.SCHEDULER, "by_turn") == ["in"]


def test_one_update_moves_an_item_in_its_index_into_it_and_out_of_it(store: ItemStore) -> None:
    key = put(store, Table.SCHEDULER, "moving", {"depth": 1})
    put(store, Table.SCHEDULER, "still", {"turn_key": "5"})
    seen = []
    for update in (
        Update(key, set={"turn_key": "4"}),
        Update(key, set={"turn_key": "6"}),
        Update(key, remove=("turn_key",)),
        Update(key, set={"turn_key": "1"}),
    ):
        store.write(update)
        seen.append(sort_keys(store, Table.SCHEDULER, "by_turn"))
    assert seen == [["moving", "still"], ["still", "moving"], ["still"], ["moving", "still"]]
    assert len(store.query(Table.SCHEDULER, PK, limit=10)) == 2


def test_an_index_that_the_table_does_not_have_is_refused(store: ItemStore) -> None:
    with pytest.raises(InvalidRequest, match="by_turn"):
        store.query(Table.TASKS, PK, index="by_turn", limit=1)


def test_a_batch_get_of_a_hundred_over_tables_returns_those_that_exist(store: ItemStore) -> None:
    tables = list(Table)
    keys = [Key(tables[number % 4], f"pk-{number}", "s") for number in range(100)]
    there = [key for number, key in enumerate(keys) if number % 3]
    for key in there:
        store.write(Put(key, {"pk_was": key.pk}))
    found = store.get(keys)
    assert sorted(found) == sorted(there)
    assert all(item.attributes == {"pk_was": key.pk} for key, item in found.items())


def test_a_key_asked_for_twice_is_returned_once(store: ItemStore) -> None:
    key = put(store, Table.TASKS, "s")
    assert list(store.get([key, key])) == [key]


def test_get_of_no_keys_is_empty(store: ItemStore) -> None:
    assert store.get([]) == {}


def test_get_of_101_keys_is_refused(store: ItemStore) -> None:
    with pytest.raises(InvalidRequest, match="101"):
        store.get([Key(Table.TASKS, f"t-{number}", "TASK") for number in range(101)])
