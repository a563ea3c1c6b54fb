"""Hooks mean the same on every store."""

from uuid import uuid4

import pytest

from pushlane.model.hook import Hook, HookData, HookScheme, HookSecret
from pushlane.ports import ItemStore
from pushlane.state.hooks import HookMoved, add_hook, find_hook, hooks_of, remove_hook, rotate_hook

DATA = HookData(name="a", scheme=HookScheme.GITHUB, template={"payload": {"a": {"$": "body"}}})


def a_hook(created_at_ms: int) -> Hook:
    """With an id of its own: a transaction's token is remembered over all tables of an account."""
    secret = HookSecret(number=1, kid="k1")
    return Hook(hook_id=f"hk-{uuid4().hex}", tenant_id="atlas", data=DATA, secret=secret, created_at_ms=created_at_ms)


def test_hooks_are_found_by_id_and_listed_by_tenant(store: ItemStore) -> None:
    first, second = a_hook(1), a_hook(2)
    assert find_hook(store, first.hook_id) is None
    for hook in (second, first):
        add_hook(store, hook)
    assert find_hook(store, first.hook_id) == first
    assert hooks_of(store, "atlas") == (first, second)
    assert hooks_of(store, "borea") == ()
    for _ in range(2):
        remove_hook(store, first)
    assert (find_hook(store, first.hook_id), hooks_of(store, "atlas")) == (None, (second,))


def test_a_rotation_is_made_from_what_is_there(store: ItemStore) -> None:
    first = a_hook(1)
    add_hook(store, first)
    next_ = HookSecret(number=2, given="a secret of the provider")
    made = rotate_hook(store, first, next_, 1_000)
    assert (made.secret, made.previous, made.previous_until_ms) == (next_, first.secret, 1_000)
    assert find_hook(store, first.hook_id) == made
    assert rotate_hook(store, first, next_, 1_000) == made
    with pytest.raises(HookMoved):
        rotate_hook(store, first, HookSecret(number=2, kid="k2"), 1_000)
    remove_hook(store, first)
    with pytest.raises(HookMoved):
        rotate_hook(store, made, HookSecret(number=3, kid="k2"), 1_000)
