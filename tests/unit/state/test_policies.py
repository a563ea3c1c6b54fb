"""The stored policy: revisions are counted and kept, a change is applied once, nobody is overwritten unknowingly."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from pushlane.inmemory import InMemoryItemStore, ManualClock
from pushlane.model.policy_document import InvalidPolicy
from pushlane.ports import Cancelled, CancelReason, Table, TransactionCancelled, Write
from pushlane.state.policies import (
    DOCUMENT_BYTES_MAX,
    PolicyChange,
    PolicyContended,
    PolicyMoved,
    StoredPolicy,
    current_revision,
    policy_history,
    set_policy,
    stored_policy,
)
from tests.unit.values import NOW


def a_store() -> InMemoryItemStore:
    return InMemoryItemStore(ManualClock(NOW))


def a_change(change_id: str, weight: float = 1.0, **changed: Any) -> PolicyChange:
    document = json.dumps({"default_tenant": {"weight": weight}} | changed.pop("also", {})).encode()
    return PolicyChange(document=document, change_id=change_id, changed_by="ann", **changed)


def weights(history: Sequence[StoredPolicy]) -> list[float]:
    return [json.loads(one.document)["default_tenant"]["weight"] for one in history]


def test_without_a_policy_there_is_revision_0_and_no_history() -> None:
    store = a_store()
    assert (current_revision(store), policy_history(store), stored_policy(store, 0)) == (0, (), None)


def test_each_change_is_a_revision_and_all_are_kept() -> None:
    store = a_store()
    made = [set_policy(store, a_change(f"c{n}", n), NOW + n) for n in (1, 2, 3)]
    assert [one.revision for one in made] == [1, 2, 3]
    assert current_revision(store) == 3
    assert stored_policy(store, 2) == made[1]
    assert (made[1].changed_by, made[1].changed_at_ms) == ("ann", NOW + 2)
    assert policy_history(store) == (made[2], made[1], made[0])
    assert weights(policy_history(store, 2)) == [3, 2]


def test_a_refused_document_changes_nothing() -> None:
    store = a_store()
    set_policy(store, a_change("c1"), NOW)
    before = store.items(Table.CONFIG), store.items(Table.TASKS)
    for also in ({"default_tenant": {"weight": 0}}, {"tenants": {"a": {"weight": "x" * DOCUMENT_BYTES_MAX}}}):
        with pytest.raises(InvalidPolicy):
            set_policy(store, a_change("c2", also=also), NOW)
    many = {f"tenant-{n}": {"weight": 2, "in_flight_max": 100} for n in range(10_000)}
    with pytest.raises(InvalidPolicy, match="at most 350000"):
        set_policy(store, a_change("c2", also={"tenants": many}), NOW)
    assert (store.items(Table.CONFIG), store.items(Table.TASKS)) == before


def test_a_policy_of_thousands_of_tenants_fits() -> None:
    store = a_store()
    many = {f"tenant-{n}": {"weight": 2, "in_flight_max": 100} for n in range(6_000)}
    assert set_policy(store, a_change("c1", also={"tenants": many}), NOW).revision == 1


@pytest.mark.parametrize("said", ["expect_revision", "document"])
def test_a_change_made_from_an_old_revision_is_refused_and_says_so(said: str) -> None:
    store = a_store()
    set_policy(store, a_change("c1", 1), NOW)
    set_policy(store, a_change("c2", 2), NOW)
    late = (
        a_change("c3", 3, expect_revision=1) if said == "expect_revision" else a_change("c3", 3, also={"revision": 1})
    )
    with pytest.raises(PolicyMoved, match="is at revision 2, and this change was made from revision 1") as caught:
        set_policy(store, late, NOW)
    assert (caught.value.expected, caught.value.current) == (1, 2)
    assert weights(policy_history(store)) == [2, 1]


@pytest.mark.parametrize("expected", [0, 1, 3])
def test_only_the_current_revision_is_expected(expected: int) -> None:
    store = a_store()
    set_policy(store, a_change("c1"), NOW)
    set_policy(store, a_change("c2"), NOW)
    with pytest.raises(PolicyMoved):
        set_policy(store, a_change("c3", expect_revision=expected), NOW)
    assert set_policy(store, a_change("c3", expect_revision=2), NOW).revision == 3


def test_the_caller_s_expectation_goes_before_the_document_s() -> None:
    store = a_store()
    set_policy(store, a_change("c1"), NOW)
    set_policy(store, a_change("c2"), NOW)
    assert set_policy(store, a_change("c3", also={"revision": 1}, expect_revision=2), NOW).revision == 3


class Meanwhile(InMemoryItemStore):
    """A store on which somebody else sets the policy between the reading and the writing of the first change."""

    other: PolicyChange | None = None

    def transact(self, operations: Sequence[Write], token: str) -> None:
        other, self.other = self.other, None
        if other is not None:
            set_policy(self, other, NOW)
        super().transact(operations, token)


@pytest.mark.parametrize("revisions_before", [0, 1])
def test_of_two_at_once_the_second_is_told_and_overwrites_nothing(revisions_before: int) -> None:
    store = Meanwhile(ManualClock(NOW))
    for n in range(revisions_before):
        set_policy(store, a_change(f"before-{n}"), NOW)
    store.other = a_change("quicker", 7)
    with pytest.raises(PolicyMoved):
        set_policy(store, a_change("slower", 8), NOW)
    assert current_revision(store) == revisions_before + 1
    assert weights(policy_history(store))[0] == 7


def test_a_change_that_comes_again_is_applied_once() -> None:
    store = a_store()
    first = set_policy(store, a_change("c1", 1), NOW)
    assert set_policy(store, a_change("c1", 1), NOW + 5) == first
    assert current_revision(store) == 1


def test_a_change_that_comes_again_late_does_not_undo_what_came_after_it() -> None:
    store = a_store()
    first = set_policy(store, a_change("c1", 1), NOW)
    set_policy(store, a_change("c2", 2), NOW)
    assert set_policy(store, a_change("c1", 1), NOW + 5) == first
    assert weights(policy_history(store)) == [2, 1]


class Conflicting(InMemoryItemStore):
    def transact(self, operations: Sequence[Write], token: str) -> None:
        raise TransactionCancelled((Cancelled(0, CancelReason.CONFLICT),))


def test_a_conflict_is_no_refusal() -> None:
    store = Conflicting(ManualClock(NOW))
    with pytest.raises(PolicyContended, match="set it again"):
        set_policy(store, a_change("c1"), NOW)


def test_the_fact_is_part_of_the_change() -> None:
    store = a_store()
    set_policy(store, a_change("c1"), NOW)
    [fact] = store.items(Table.TASKS)
    assert (fact.attributes["fact"], fact.attributes["revision"], fact.attributes["changed_by"]) == (
        "PolicyChanged",
        1,
        "ann",
    )
    assert fact.attributes["expires_at_s"] == NOW // 1_000 + 7 * 24 * 3600
