"""Rotating the signing secret: what signs afterwards, what still verifies, and two that rotate at once."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from pushlane.client.signing_keys import Rotation, RotationRefused, remove_signing_key, rotate_signing_key
from pushlane.model.errors import InvalidToken
from pushlane.model.keyring import InvalidKeyRing, KeyRing, ring_of
from pushlane.model.token import ReservationClaims, sign, verify
from tests.unit.values import a_reservation

SECRET = "signing"
NOW = 1_700_000_000_000
CLAIMS = ReservationClaims(
    tenant_id="atlas", task_id="t", epoch=1, pool="p", reservation=a_reservation(), expires_at_ms=NOW
)


@pytest.fixture
def client() -> Iterator[Any]:
    with mock_aws():
        made = boto3.client("secretsmanager", region_name="us-east-1")
        made.create_secret(Name=SECRET, SecretString="the old plain text")
        yield made
        made.delete_secret(SecretId=SECRET, ForceDeleteWithoutRecovery=True)  # a mock around this one keeps it


def ring(client: Any) -> KeyRing:
    found = client.get_secret_value(SecretId=SECRET, VersionStage="AWSCURRENT")  # moto does not take it for the default
    return ring_of(found["SecretString"].encode())


def rotate(client: Any, **more: Any) -> Rotation:
    return rotate_signing_key(client, SECRET, NOW, **more)


def test_the_plain_text_stays_the_first_key_beside_a_new_one(client: Any) -> None:
    token = sign(CLAIMS, ring(client))
    done = rotate(client)
    assert (done.current, done.previous, done.kept, done.removed) == ("k1", "k0", ("k0",), ())
    assert ring(client).key("k0") == b"the old plain text"
    kid, key = ring(client).signing()
    assert (kid, len(key)) == ("k1", 64)
    assert verify(token, ring(client), NOW) == CLAIMS
    assert verify(sign(CLAIMS, ring(client)), ring(client), NOW) == CLAIMS


def test_each_key_is_new_and_the_oldest_leave(client: Any) -> None:
    token = sign(CLAIMS, ring(client))
    done = [rotate(client) for _ in range(12)]
    assert [one.current for one in done] == [f"k{number}" for number in range(1, 13)]
    assert (done[1].kept, done[1].removed) == (("k1", "k0"), ())
    assert (done[2].kept, done[2].removed) == (("k2", "k1"), ("k0",))
    assert (done[-1].kept, done[-1].removed) == (("k11", "k10"), ("k9",))
    assert list(ring(client).keys) == ["k10", "k11", "k12"]
    assert len(set(ring(client).keys.values())) == 3
    with pytest.raises(InvalidToken, match="'k0', which is not in the ring"):
        verify(token, ring(client), NOW)


def test_keys_that_envelopes_still_need_are_kept(client: Any) -> None:
    for _ in range(4):
        rotate(client, needed={"k0", "k1"})
    done = rotate(client, keep=0, needed={"k1"})
    assert (done.current, done.kept, done.removed) == ("k5", ("k1",), ("k4", "k3", "k2", "k0"))


def test_with_nothing_kept_all_that_was_signed_before_is_refused(client: Any) -> None:
    token = sign(CLAIMS, ring(client))
    assert rotate(client, keep=0).removed == ("k0",)
    with pytest.raises(InvalidToken):
        verify(token, ring(client), NOW)


def test_an_older_key_can_be_taken_out(client: Any) -> None:
    rotate(client)
    remove_signing_key(client, SECRET, "k0")
    assert list(ring(client).keys) == ["k1"]
    with pytest.raises(RotationRefused, match="rotate first"):
        remove_signing_key(client, SECRET, "k1")
    with pytest.raises(RotationRefused, match="no key 'k0': it has k1"):
        remove_signing_key(client, SECRET, "k0")


def test_who_rotates_second_at_the_same_time_changes_nothing(client: Any) -> None:
    def meanwhile() -> str:
        rotate(client)
        return "lost"

    with pytest.raises(RotationRefused, match="somebody else"):
        rotate(client, new_secret=meanwhile)
    assert list(ring(client).keys) == ["k0", "k1"]
    assert b"lost" not in ring(client).keys.values()


def test_no_label_is_left_behind(client: Any) -> None:
    rotate(client)
    with pytest.raises(RotationRefused):
        rotate(client, new_secret=lambda: rotate(client).current)
    versions = client.describe_secret(SecretId=SECRET)["VersionIdsToStages"]
    assert {stage for stages in versions.values() for stage in stages} <= {"AWSCURRENT", "AWSPREVIOUS"}


def test_what_cannot_hold_a_ring_is_left_as_it_is(client: Any) -> None:
    with pytest.raises(RotationRefused, match="keep=-1"):
        rotate(client, keep=-1)
    client.put_secret_value(SecretId=SECRET, SecretString='{"current": "k1"}')
    with pytest.raises(InvalidKeyRing):
        rotate(client)
    client.put_secret_value(SecretId=SECRET, SecretBinary=b"\x00")
    with pytest.raises(RotationRefused, match="binary"):
        rotate(client)
