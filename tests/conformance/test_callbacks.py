"""Callback settings mean the same on every store: a secret counts up, a default is marked on its tenant."""

from typing import cast
from uuid import uuid4

import pytest

from pushlane.model.callback import Callback, Generation
from pushlane.ports import ItemStore, Put
from pushlane.state.callbacks import (
    MARK,
    CallbacksMoved,
    callback_settings,
    rotate_secret,
    set_default,
)
from pushlane.state.keys import tenant_key

NOW = 1_700_000_000_000
PLACE = Callback(url="https://hooks.example/done")


@pytest.fixture
def tenant(store: ItemStore) -> str:
    # Of its own for each test: a transaction's token is remembered over all tables of an account.
    tenant_id = f"atlas-{uuid4().hex[:12]}"
    store.write(Put(tenant_key(tenant_id), {"tenant_id": tenant_id, "status": "active"}))
    return tenant_id


def marked(store: ItemStore, tenant_id: str) -> bool:
    key = tenant_key(tenant_id)
    return MARK in store.get([key])[key].attributes


def test_a_default_is_set_and_taken_away_and_the_secret_stays(store: ItemStore, tenant: str) -> None:
    assert (callback_settings(store, tenant), marked(store, tenant)) == (None, False)
    made = set_default(store, tenant, PLACE, "k1", NOW)
    assert (callback_settings(store, tenant), made.default, marked(store, tenant)) == (made, PLACE, True)
    off = set_default(store, tenant, None, "k2", NOW + 1)
    assert (callback_settings(store, tenant), off.default, off.secret) == (off, None, made.secret)
    assert not marked(store, tenant)


def test_a_rotation_counts_up_and_remembers_the_secret_before(store: ItemStore, tenant: str) -> None:
    first = rotate_secret(store, tenant, "k1", NOW, 60)
    assert (first.secret, first.previous, first.default) == (Generation(kid="k1", number=1), None, None)
    set_default(store, tenant, PLACE, "k1", NOW + 1)
    second = rotate_secret(store, tenant, "k2", NOW + 2, 60)
    assert (second.secret, second.previous) == (Generation(kid="k2", number=2), first.secret)
    assert (second.previous_until_ms, second.default) == (NOW + 60_002, PLACE)
    assert callback_settings(store, tenant) == second


def test_nobody_gets_callbacks_without_being_registered(store: ItemStore) -> None:
    with pytest.raises(CallbacksMoved):
        set_default(store, "nobody", PLACE, "k1", NOW)
    assert callback_settings(store, "nobody") is None


def test_of_two_who_change_the_same_settings_one_is_told_to_look_again(store: ItemStore, tenant: str) -> None:
    set_default(store, tenant, PLACE, "k1", NOW)
    other = Callback(url="https://other.example/")

    class Late:
        """A store in which somebody else is quicker."""

        def __getattr__(self, name: str) -> object:
            if name == "transact":
                set_default(store, tenant, other, "k1", NOW + 1)
            return getattr(store, name)

    with pytest.raises(CallbacksMoved):
        rotate_secret(cast(ItemStore, Late()), tenant, "k2", NOW + 2, 60)
    found = callback_settings(store, tenant)
    assert found is not None
    assert (found.default, found.secret.number) == (other, 1)
