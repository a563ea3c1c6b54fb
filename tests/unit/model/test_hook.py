"""Schemes of inbound webhooks: the providers' own vectors, and what must not verify."""

from typing import Any

import pytest

from pushlane.model.errors import InvalidEvent
from pushlane.model.hook import (
    Encoding,
    HmacForm,
    Hook,
    HookData,
    HookScheme,
    HookSecret,
    check_hook,
    delivery_of,
    secret_as_text,
    secrets_of_hook,
)
from pushlane.model.keyring import KeyRing
from pushlane.model.webhook_signature import InvalidSignature, signature_headers

NOW = 1_700_000_000
RING = KeyRing("k2", {"k1": b"one", "k2": b"two"})

# From GitHub's documentation.
GITHUB_SECRET = b"It's a Secret to Everybody"
GITHUB_BODY = b"Hello, World!"
GITHUB_HEADERS = {"x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}

# From Slack's documentation.
SLACK = HmacForm(
    signature_header="x-slack-signature",
    timestamp_header="x-slack-request-timestamp",
    signed="v0:{timestamp}:{body}",
    prefix="v0=",
)
SLACK_SECRET = b"8f742231b10e8888abcd99yyyzzz85a5"
SLACK_SENT_AT = 1_531_420_618
SLACK_HEADERS = {
    "x-slack-request-timestamp": str(SLACK_SENT_AT),
    "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
}
SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)


def data(scheme: HookScheme, **more: Any) -> HookData:
    return HookData(name="a", scheme=scheme, template={}, **more)


def hook(scheme: HookScheme, **more: Any) -> Hook:
    said: dict[str, Any] = {"secret": HookSecret(number=1, kid="k1"), "data": data(scheme)}
    return Hook(hook_id="h", tenant_id="atlas", created_at_ms=0, **(said | more))


def test_githubs_own_vector_verifies_and_is_known_by_its_body_alone() -> None:
    github = data(HookScheme.GITHUB)
    known = delivery_of(github, [GITHUB_SECRET], GITHUB_HEADERS, GITHUB_BODY, NOW)
    unsigned = {**GITHUB_HEADERS, "x-github-delivery": "another"}
    assert delivery_of(github, [b"x", GITHUB_SECRET], unsigned, GITHUB_BODY, NOW + 10**6) == known


def test_slacks_own_vector_verifies_within_its_time() -> None:
    slack = data(HookScheme.HMAC, hmac=SLACK)
    assert delivery_of(slack, [SLACK_SECRET], SLACK_HEADERS, SLACK_BODY, SLACK_SENT_AT + 300)
    for now_seconds in (SLACK_SENT_AT + 301, SLACK_SENT_AT - 301):
        with pytest.raises(InvalidSignature) as refused:
            delivery_of(slack, [SLACK_SECRET], SLACK_HEADERS, SLACK_BODY, now_seconds)
        assert refused.value.code == "timestamp"


def test_a_standard_delivery_is_known_by_its_signed_id() -> None:
    headers = signature_headers([b"s" * 32], "msg_1", NOW, b"{}")
    assert delivery_of(data(HookScheme.STANDARD), [b"s" * 32], headers, b"{}", NOW) == "msg_1"


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, GITHUB_BODY),
        ({"x-hub-signature-256": ""}, GITHUB_BODY),
        ({"x-hub-signature-256": GITHUB_HEADERS["x-hub-signature-256"].removeprefix("sha256=")}, GITHUB_BODY),
        ({"x-hub-signature-256": "sha256=ä"}, GITHUB_BODY),
        ({"x-hub-signature": GITHUB_HEADERS["x-hub-signature-256"]}, GITHUB_BODY),
        (GITHUB_HEADERS, GITHUB_BODY + b" "),
        (GITHUB_HEADERS, b""),
    ],
)
def test_what_was_changed_does_not_verify(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(InvalidSignature):
        delivery_of(data(HookScheme.GITHUB), [GITHUB_SECRET], headers, body, NOW)


@pytest.mark.parametrize("timestamp", ["", "now", "-1", "1.5", "²", str(SLACK_SENT_AT + 1), "9" * 400])
def test_a_time_that_is_not_the_signed_one_does_not_verify(timestamp: str) -> None:
    headers = {**SLACK_HEADERS, "x-slack-request-timestamp": timestamp}
    with pytest.raises(InvalidSignature):
        delivery_of(data(HookScheme.HMAC, hmac=SLACK), [SLACK_SECRET], headers, SLACK_BODY, SLACK_SENT_AT)


def test_a_signature_may_be_in_base64() -> None:
    form = HmacForm(signature_header="x-sig", timestamp_header="x-time", encoding=Encoding.BASE64)
    headers = {"x-time": str(NOW), "x-sig": "WGLDWdgP8z1ZYGQUTRtl2NwVtCTKpjoq7cOe2ZdIwVM="}
    with pytest.raises(InvalidSignature):
        delivery_of(data(HookScheme.HMAC, hmac=form), [b"other"], headers, b"x", NOW)


def test_no_secret_verifies_nothing() -> None:
    for one, headers in ((data(HookScheme.GITHUB), GITHUB_HEADERS), (data(HookScheme.HMAC, hmac=SLACK), SLACK_HEADERS)):
        with pytest.raises(InvalidSignature):
            delivery_of(one, [], headers, GITHUB_BODY, SLACK_SENT_AT)


def test_secrets_differ_by_hook_and_number_and_the_one_before_is_good_for_a_while() -> None:
    first = hook(HookScheme.GITHUB)
    rotated = hook(
        HookScheme.GITHUB,
        secret=HookSecret(number=2, kid="k2"),
        previous=first.secret,
        previous_until_ms=1_000,
    )
    old, new = (secret_as_text(RING, first, one) for one in (first.secret, rotated.secret))
    assert old != new
    assert secrets_of_hook(RING, rotated, 999) == [new.encode(), old.encode()]
    assert secrets_of_hook(RING, rotated, 1_000) == [new.encode()]
    assert secrets_of_hook(KeyRing("k2", {"k2": b"two"}), first, 0) == []
    standard = hook(HookScheme.STANDARD)
    assert secret_as_text(RING, standard, standard.secret).startswith("whsec_")


@pytest.mark.parametrize(
    ("said", "secret", "field"),
    [
        (data(HookScheme.HMAC), None, "$.hmac"),
        (data(HookScheme.GITHUB, hmac=SLACK), None, "$.hmac"),
        (
            data(HookScheme.HMAC, hmac=HmacForm(signature_header="a", timestamp_header="b", signed="{body}")),
            None,
            "$.hmac.signed",
        ),
        (data(HookScheme.STANDARD), "not base64 at all!", "$.secret"),
    ],
)
def test_a_hook_that_cannot_work_is_refused(said: HookData, secret: str | None, field: str) -> None:
    with pytest.raises(InvalidEvent) as refused:
        check_hook(said, secret)
    assert refused.value.field == field
