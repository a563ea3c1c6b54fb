"""Making, replacing and revoking keys."""

from typing import Any

import msgspec
import pytest

from pushlane.client.access_keys import (
    KeyMaker,
    KeyNotUsable,
    KeyUnknown,
    NewKey,
    TenantInactive,
    signing_kids_in_use,
)
from pushlane.model.access_key import AccessKey, KeyKind, KeyStatus, parse_api_key, secret_digest, secret_matches
from pushlane.model.envelope_proof import EnvelopeKey, envelope_key
from pushlane.model.principal import InvalidPrincipal, Role
from pushlane.ports import Put, Table, TransactionCancelled
from pushlane.state.access_keys import add_key, all_keys, erase_keys, find_key, keys_of, revoke_key
from pushlane.state.callbacks import callback_key
from tests.unit.api.callers import RING, START_MS, Callers


class World(Callers):
    def __init__(self) -> None:
        super().__init__()
        self.maker = KeyMaker(self.store, self.clock.now_ms, lambda: RING)

    def stored(self, key_id: str) -> AccessKey:
        found = find_key(self.store, key_id)
        assert found is not None
        return found


@pytest.fixture
def world() -> World:
    return World()


def test_a_key_is_shown_once_and_its_secret_is_nowhere(world: World) -> None:
    created = world.maker.create(NewKey(tenant_id="atlas", name="export"))
    parsed = parse_api_key(created.text)
    assert parsed is not None
    key_id, secret = parsed
    assert len(bytes.fromhex(secret)) == 32
    assert secret_matches(world.stored(key_id), secret)
    everything = str(world.store.items(Table.CONFIG))
    assert secret not in everything
    assert secret_digest(secret) in everything
    assert secret not in repr(created)
    assert world.credentials.principal_of(created.text).tenant_id == "atlas"


def test_two_keys_are_two(world: World) -> None:
    made = {world.maker.create(NewKey(tenant_id="atlas")).text for _ in range(20)}
    assert len(made) == 20


def test_an_envelope_key_is_derived_and_signs_what_the_router_checks(world: World) -> None:
    created = world.maker.create(NewKey(tenant_id="atlas", kind=KeyKind.ENVELOPE))
    key = EnvelopeKey.parse(created.text)
    stored = world.stored(key.key_id)
    assert (stored.kid, stored.secret_digest) == ("k1", None)
    assert key == envelope_key(RING, key.key_id, "atlas", stored.kid)
    assert key.secret.hex() not in str(world.store.items(Table.CONFIG))


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"role": Role.PRODUCER}, "tenant_id"),
        ({"role": Role.ADMIN, "tenant_id": "atlas"}, "tenant_id"),
        ({"role": Role.AGENT}, "pool"),
        ({"role": Role.PRODUCER, "tenant_id": "atlas", "pool": "gpu"}, "pool"),
        ({"role": Role.AGENT, "pool": "g#pu"}, "key"),
        ({"role": Role.OPERATOR, "name": "x" * 129}, "key"),
    ],
)
def test_bounds_that_no_key_has(world: World, said: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidPrincipal) as caught:
        world.maker.create(NewKey(**said))
    assert caught.value.field == field
    assert all_keys(world.store) == ()


def test_a_tenant_has_to_be_active(world: World) -> None:
    world.tenant("cedar", "erasing")
    for tenant_id, said in (("cedar", "is erasing"), ("nobody", "tenants add")):
        with pytest.raises(TenantInactive, match=said):
            world.maker.create(NewKey(tenant_id=tenant_id))


def test_a_new_key_beside_the_old_one(world: World) -> None:
    before = world.maker.create(NewKey(tenant_id="atlas", role=Role.OPERATOR, name="export"))
    after = world.maker.rotate(before.key.key_id, overlap_seconds=3_600)
    assert after.key.replaces == before.key.key_id
    assert (after.key.role, after.key.tenant_id, after.key.name) == (Role.OPERATOR, "atlas", "export")
    world.credentials.principal_of(before.text)
    world.credentials.principal_of(after.text)
    world.clock.advance(3_600_000)
    assert world.stored(before.key.key_id).state(world.clock.now_ms()) == "expired"
    world.elsewhere().principal_of(after.text)
    with pytest.raises(KeyNotUsable, match="expired"):
        world.maker.rotate(before.key.key_id)


def test_an_overlap_never_makes_a_key_last_longer(world: World) -> None:
    before = world.maker.create(NewKey(tenant_id="atlas", expires_at_ms=START_MS + 60_000))
    after = world.maker.rotate(before.key.key_id, overlap_seconds=3_600)
    assert world.stored(before.key.key_id).expires_at_ms == START_MS + 60_000
    assert after.key.expires_at_ms == START_MS + 60_000


def test_without_an_overlap_the_key_ends_now(world: World) -> None:
    before = world.maker.create(NewKey(tenant_id="atlas"))
    world.maker.rotate(before.key.key_id, overlap_seconds=0)
    assert world.stored(before.key.key_id).status is KeyStatus.REVOKED


def test_revoked_is_revoked(world: World) -> None:
    created = world.maker.create(NewKey(tenant_id="atlas"))
    for _ in range(2):
        assert world.maker.revoke(created.key.key_id).status is KeyStatus.REVOKED
    with pytest.raises(KeyNotUsable, match="revoked"):
        world.maker.rotate(created.key.key_id)
    for verb in (world.maker.revoke, world.maker.rotate):
        with pytest.raises(KeyUnknown, match="keys list"):
            verb("0000000000000000")
    assert not revoke_key(world.store, "0000000000000000"), "nothing came to be by that"
    assert find_key(world.store, "0000000000000000") is None


def test_lists_are_by_tenant(world: World) -> None:
    world.tenant("atla", "active")
    world.tenant("atlas-2", "active")
    made = {
        tenant_id: {world.maker.create(NewKey(tenant_id=tenant_id)).key.key_id for _ in range(3)}
        for tenant_id in ("atla", "atlas", "atlas-2")
    }
    admin = world.maker.create(NewKey(role=Role.ADMIN)).key.key_id
    for tenant_id, ids in made.items():
        assert {key.key_id for key in keys_of(world.store, tenant_id)} == ids
    assert {key.key_id for key in keys_of(world.store, None)} == {admin}
    assert len(all_keys(world.store)) == 10


def test_lists_have_pages(world: World) -> None:
    for number in range(230):
        world.key(f"{number:08d}")
    world.key("99999999", tenant_id="birch")
    assert [key.key_id for key in keys_of(world.store, "atlas")] == [f"{number:08d}" for number in range(230)]
    assert erase_keys(world.store, "atlas") == 230
    assert [key.key_id for key in all_keys(world.store)] == ["99999999"]
    assert erase_keys(world.store, "atlas") == 0


def test_an_id_is_given_once(world: World) -> None:
    world.key("00000001")
    with pytest.raises(TransactionCancelled):
        add_key(
            world.store,
            AccessKey(key_id="00000001", kind=KeyKind.API, role=Role.ADMIN, created_at_ms=START_MS, secret_digest="x"),
        )
    assert world.stored("00000001").role is Role.PRODUCER


def test_kids_in_use_stay(world: World) -> None:
    used = world.maker.create(NewKey(tenant_id="atlas", kind=KeyKind.ENVELOPE))
    unused = KeyMaker(world.store, world.clock.now_ms, lambda: msgspec.structs.replace(RING, current="k0"))
    revoked = unused.create(NewKey(tenant_id="atlas", kind=KeyKind.ENVELOPE))
    assert signing_kids_in_use(world.store, START_MS) == {"k0", "k1"}
    world.maker.revoke(revoked.key.key_id)
    assert signing_kids_in_use(world.store, START_MS) == {"k1"}
    assert used.key.kid == "k1"
    # A callback's secret is derived as well.
    world.store.write(Put(callback_key("atlas"), {"body": '{"secret":{"kid":"k7","number":1}}'}))
    assert signing_kids_in_use(world.store, START_MS) == {"k1", "k7"}
