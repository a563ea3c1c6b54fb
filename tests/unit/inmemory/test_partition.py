"""The order of a partition and of its local index, against the plainest model there is."""

from hypothesis import given
from hypothesis import strategies as st

from pushlane.inmemory.partition import Partition
from pushlane.ports import Scalar, Table

sks = st.text(alphabet="abc", min_size=1, max_size=3)
leases = st.one_of(st.none(), st.integers(-3, 12))
changes = st.lists(st.tuples(sks, st.one_of(st.just("delete"), leases)), max_size=40)


@given(changes, sks, st.integers(-4, 13), st.integers(0, 5))
def test_reads_are_those_of_a_sorted_list(
    steps: list[tuple[str, str | int | None]], start: str, lease_start: int, limit: int
) -> None:
    partition = Partition(Table.ATTEMPTS)
    model: dict[str, int | None] = {}
    for sk, change in steps:
        if isinstance(change, str):
            model.pop(sk, None)
            partition.replace(sk, None)
        else:
            attributes: dict[str, Scalar] = {} if change is None else {"lease_until_ms": change}
            model[sk] = change
            partition.replace(sk, attributes)
    assert partition.sort_keys("", 99) == sorted(model)
    assert partition.sort_keys(start, limit) == [sk for sk in sorted(model) if sk >= start][:limit]
    leased = sorted((lease, sk) for sk, lease in model.items() if lease is not None)
    assert partition.indexed_sort_keys("by_lease", "", 99) == [sk for _, sk in leased]
    due = [sk for lease, sk in leased if lease >= lease_start]
    assert partition.indexed_sort_keys("by_lease", str(lease_start), limit) == due[:limit]
