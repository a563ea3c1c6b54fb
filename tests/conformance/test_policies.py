"""Setting a policy means the same on every store: revisions count up, a stale change is refused, a repeat is one."""

import pytest

from pushlane.ports import ItemStore
from pushlane.state.policies import PolicyChange, PolicyMoved, current_revision, policy_history, set_policy

NOW = 1_700_000_000_000


def a_change(change_id: str, expect_revision: int | None = None) -> PolicyChange:
    return PolicyChange(document=b"{}", change_id=change_id, changed_by=change_id, expect_revision=expect_revision)


def test_a_policy_is_set_kept_and_not_overwritten_unknowingly(store: ItemStore) -> None:
    assert current_revision(store) == 0
    first = set_policy(store, a_change("ann"), NOW)
    second = set_policy(store, a_change("bob", expect_revision=1), NOW + 1)
    with pytest.raises(PolicyMoved, match="at revision 2"):
        set_policy(store, a_change("cy", expect_revision=1), NOW + 2)
    assert set_policy(store, a_change("ann", expect_revision=0), NOW + 3) == first
    assert policy_history(store) == (second, first)
    assert policy_history(store, 1) == (second,)
