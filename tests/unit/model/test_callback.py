"""Callbacks: what they tell, and under which secrets."""

import msgspec
import pytest

from pushlane.model.callback import (
    Callback,
    CallbackEvent,
    CallbackSettings,
    Generation,
    callback_secret,
    require_url,
    signing_secrets,
)
from pushlane.model.derived_secrets import derived_secret, secret_text
from pushlane.model.errors import InvalidEvent, InvalidToken
from pushlane.model.events import FactName
from pushlane.model.keyring import KeyRing
from pushlane.model.target_url import TargetRules
from pushlane.model.webhook_signature import secret_of

RING = KeyRing("k2", {"k1": b"one", "k2": b"two"})
NOW = 1_700_000_000_000
FIRST = CallbackSettings(tenant_id="atlas", secret=Generation(kid="k1", number=1), changed_at_ms=NOW)


def test_every_event_is_the_name_of_a_fact() -> None:
    assert {event.value for event in CallbackEvent} <= {name.value for name in FactName}


def test_a_callback_tells_every_end_or_those_that_it_names() -> None:
    assert all(Callback(url="https://a.example").tells(event) for event in CallbackEvent)
    assert not Callback(url="https://a.example").tells("TaskDispatched")
    some = Callback(url="https://a.example", events=(CallbackEvent.FAILED,))
    assert [event for event in CallbackEvent if some.tells(event)] == [CallbackEvent.FAILED]


@pytest.mark.parametrize("said", [b"{}", b'{"url": ""}', b'{"url": "x", "events": []}', b'{"url": "x", "to": 1}'])
def test_a_callback_of_another_form_is_refused(said: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(said, type=Callback)


def test_secrets_differ_by_tenant_generation_key_and_purpose() -> None:
    generations = [Generation(kid=kid, number=number) for kid in ("k1", "k2") for number in (1, 11)]
    secrets = {callback_secret(RING, tenant, one) for tenant in ("atlas", "birch") for one in generations}
    assert len(secrets) == 8
    assert derived_secret(b"k", "a", "bc") != derived_secret(b"k", "ab", "c") != derived_secret(b"k", "a", "b", "c")
    assert all(secret_of(secret_text(one)) == one for one in secrets)


def test_the_secret_before_signs_along_for_the_overlap() -> None:
    next_ = FIRST.rotated("k2", NOW, 60)
    assert (next_.secret, next_.previous) == (Generation(kid="k2", number=2), FIRST.secret)
    old, new = callback_secret(RING, "atlas", FIRST.secret), callback_secret(RING, "atlas", next_.secret)
    assert signing_secrets(RING, FIRST, NOW) == [old]
    assert signing_secrets(RING, next_, NOW + 59_999) == [new, old]
    assert signing_secrets(RING, next_, NOW + 60_000) == [new]


def test_a_key_that_left_the_ring_ends_the_secret_before_and_stops_the_current_one() -> None:
    later = KeyRing("k2", {"k2": b"two"})
    next_ = FIRST.rotated("k2", NOW, 60)
    assert signing_secrets(later, next_, NOW) == [callback_secret(RING, "atlas", next_.secret)]
    with pytest.raises(InvalidToken, match="k1"):
        signing_secrets(later, FIRST, NOW)


def test_a_url_that_is_never_called_is_refused_by_its_field() -> None:
    with pytest.raises(InvalidEvent) as refused:
        require_url("https://10.0.0.1/", TargetRules(), "$.data.callback.url")
    assert (refused.value.field, refused.value.code) == ("$.data.callback.url", "bad_url")
    require_url("http://127.0.0.1:1/", TargetRules(allow_local=True), "$")
