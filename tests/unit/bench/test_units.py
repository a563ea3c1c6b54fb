"""Write and read units are counted as DynamoDB bills them."""

import pytest

from bench.units import WriteUnits, get_units, query_units, refused_units, write_units
from pushlane.ports import Attributes, Item, Key, Table

PLAIN = Key(Table.CONFIG, "pk", "sk")
TASK = Key(Table.TASKS, "t-1", "TASK")
ATTEMPT = Key(Table.ATTEMPTS, "default#0", "t-1")
LISTED: Attributes = {"tenant_bucket": "atlas#1", "accepted_at_ms": 1, "status": "PARKED"}


@pytest.mark.parametrize(
    ("old", "new", "once"),
    [
        (None, {"a": "x"}, 1),
        ({"a": "x" * 3_000}, {"a": "x"}, 3),
        ({"a": "x"}, {"a": "x" * 1_100}, 2),
        ({"a": "x"}, None, 1),
        (None, None, 1),
    ],
)
def test_a_write_counts_the_larger_of_both_items_and_twice_in_a_transaction(
    old: Attributes | None, new: Attributes | None, once: int
) -> None:
    assert write_units(PLAIN, old, new, transaction=False) == WriteUnits(once)
    assert write_units(PLAIN, old, new, transaction=True) == WriteUnits(2 * once)


@pytest.mark.parametrize(
    ("old", "new", "indexes"),
    [
        (None, {"lease_until_ms": 1}, 1),
        ({"lease_until_ms": 1}, {"lease_until_ms": 2}, 2),
        ({"lease_until_ms": 1}, {"lease_until_ms": 1, "outcome": "{}"}, 1),
        ({"lease_until_ms": 1}, {"lease_until_ms": 1}, 0),
        ({"lease_until_ms": 1}, None, 1),
        ({}, {"runner": "one"}, 0),
    ],
)
def test_a_local_index_counts_entries_that_come_go_change_or_move(
    old: Attributes | None, new: Attributes | None, indexes: int
) -> None:
    assert write_units(ATTEMPT, old, new, transaction=True).indexes == indexes


def test_the_index_of_tasks_by_tenant_counts_only_what_it_keeps() -> None:
    moved_on, larger = {**LISTED, "status": "SUCCEEDED"}, {**LISTED, "result": "x" * 5_000}
    assert write_units(TASK, None, LISTED, transaction=True).indexes == 1
    assert write_units(TASK, LISTED, moved_on, transaction=True).indexes == 1
    assert write_units(TASK, LISTED, larger, transaction=True) == WriteUnits(2 * 5, 0)


def test_a_refused_write_counts_what_was_there() -> None:
    assert refused_units(PLAIN, {"a": "x" * 2_000}, transaction=False) == WriteUnits(2)
    assert refused_units(PLAIN, None, transaction=True) == WriteUnits(2)


def test_reads_count_by_four_kilobytes_items_one_by_one_and_queries_together() -> None:
    large = Item(PLAIN, {"a": "x" * 5_000})
    small = Item(Key(Table.CONFIG, "pk", "s2"), {"a": "x" * 1_000})
    missing = Key(Table.CONFIG, "pk", "s3")
    assert get_units([large.key, small.key, missing, missing], [large, small]) == 2 + 1 + 1
    assert query_units([small, small, small, small]) == 1
    assert query_units([large, small]) == 2
    assert query_units([]) == 1
