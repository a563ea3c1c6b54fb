"""docs/capacity.md says what the code writes."""

from bench import write_ceiling
from pushlane.ports import Change, Key, Table


def test_the_page_has_the_tables_of_the_code_as_it_is() -> None:
    page = write_ceiling.PAGE.read_text()
    fresh = write_ceiling.with_tables(page, write_ceiling.tables())
    assert page == fresh, "write them anew: python -m bench.write_ceiling --write"


def test_a_change_costs_its_kilobytes_twice_and_what_it_moves_in_indexes() -> None:
    key = Key(Table.SCHEDULER, "LANES#p#s", "normal#t")
    one = Change(key, {"turn_key": "1", "depth": 1}, {"turn_key": "1", "depth": 2})
    moved = Change(key, {"turn_key": "1", "late_key": "1"}, {"turn_key": "2"})
    large = Change(Key(Table.TASKS, "t", "TASK"), None, {"body": "x" * 1_500})
    assert [write_ceiling.units(change) for change in (one, moved, large)] == [3, 5, 4]
    assert write_ceiling.units(large, transaction=False) == 2


def test_more_agents_never_lower_a_ceiling_and_larger_turns_raise_it() -> None:
    measured = {batch: write_ceiling.measure(batch) for batch in write_ceiling.BATCHES}
    for contended in (False, True):
        by_agents = {
            batch: [write_ceiling.ceiling(measured[batch], n, batch, 30, contended=contended).tasks for n in (1, 4, 64)]
            for batch in write_ceiling.BATCHES
        }
        assert by_agents[1] == sorted(by_agents[1])
        assert by_agents[10] == sorted(by_agents[10])
        assert by_agents[10][0] > by_agents[1][0]
