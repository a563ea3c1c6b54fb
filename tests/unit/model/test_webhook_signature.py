"""Standard Webhooks: the vectors of the specification, several secrets, and everything that must not verify."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.model.webhook_signature import (
    InvalidSecret,
    InvalidSignature,
    secret_of,
    signature_headers,
    verified_id,
)

# From the specification's reference implementations.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE = "msg_p5jXN8AQM9LWM0D4loKWxJek"
SENT_AT = 1_614_265_330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
HEADERS = {"webhook-id": MESSAGE, "webhook-timestamp": str(SENT_AT), "webhook-signature": SIGNATURE}

OLD, NEW = b"o" * 32, b"n" * 32


def test_the_vector_of_the_specification_is_signed_and_verified() -> None:
    secret = secret_of(SECRET)
    assert signature_headers([secret], MESSAGE, SENT_AT, BODY) == HEADERS
    assert verified_id([secret], HEADERS, BODY, SENT_AT) == MESSAGE


def test_a_prefix_is_not_needed() -> None:
    assert secret_of(SECRET.removeprefix("whsec_")) == secret_of(SECRET)


def test_signatures_of_other_versions_are_passed_over() -> None:
    several = {**HEADERS, "webhook-signature": f"v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5B {SIGNATURE} v2,x"}
    assert verified_id([secret_of(SECRET)], several, BODY, SENT_AT) == MESSAGE


def test_during_a_rotation_both_secrets_sign_and_either_verifies() -> None:
    headers = signature_headers([NEW, OLD], "m", SENT_AT, BODY)
    assert headers["webhook-signature"].count("v1,") == 2
    for known in ([OLD], [NEW], [OLD, NEW]):
        assert verified_id(known, headers, BODY, SENT_AT) == "m"
    with pytest.raises(InvalidSignature):
        verified_id([b"x" * 32], headers, BODY, SENT_AT)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"webhook-id": "msg_other"}, "signature"),
        ({"webhook-id": ""}, "header"),
        ({"webhook-id": "a b"}, "header"),
        ({"webhook-timestamp": str(SENT_AT + 1)}, "signature"),
        ({"webhook-timestamp": "1614265330.0"}, "header"),
        ({"webhook-timestamp": "-1"}, "header"),
        ({"webhook-timestamp": "١٦١٤"}, "header"),
        ({"webhook-timestamp": "9" * 500}, "header"),
        ({"webhook-signature": ""}, "signature"),
        ({"webhook-signature": SIGNATURE.removeprefix("v1,")}, "signature"),
        ({"webhook-signature": SIGNATURE.replace("v1,", "v2,")}, "signature"),
        ({"webhook-signature": "v1,ä"}, "signature"),
        ({"webhook-signature": "v1,AAAA " * 16 + SIGNATURE}, "signature"),
    ],
)
def test_what_was_changed_does_not_verify(changed: dict[str, str], code: str) -> None:
    with pytest.raises(InvalidSignature) as refused:
        verified_id([secret_of(SECRET)], {**HEADERS, **changed}, BODY, SENT_AT)
    assert refused.value.code == code


@pytest.mark.parametrize("off_seconds", [301, -301, 10**6])
def test_what_was_signed_too_long_ago_or_ahead_is_refused(off_seconds: int) -> None:
    with pytest.raises(InvalidSignature) as refused:
        verified_id([secret_of(SECRET)], HEADERS, BODY, SENT_AT + off_seconds)
    assert refused.value.code == "timestamp"
    assert verified_id([secret_of(SECRET)], HEADERS, BODY, SENT_AT + 300) == MESSAGE


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_!!!!", "whsec_" + base64.b64encode(b"short").decode(), "ä" * 40])
def test_what_is_no_secret_is_refused(text: str) -> None:
    with pytest.raises(InvalidSecret):
        secret_of(text)


@given(body=st.binary(max_size=200), flipped=st.integers(min_value=0), secret=st.binary(min_size=16, max_size=64))
def test_any_body_verifies_and_no_other_does(body: bytes, flipped: int, secret: bytes) -> None:
    headers = signature_headers([secret], "m", SENT_AT, body)
    assert verified_id([secret], headers, body, SENT_AT) == "m"
    place = flipped % (len(body) + 1)
    other = body[:place] + b"x" + body[place:]
    with pytest.raises(InvalidSignature):
        verified_id([secret], headers, other, SENT_AT)
