"""API keys and tickets: who is let in, as whom, and every way of not being let in."""

import hmac
from typing import Any

import msgspec
import pytest

from pushlane.api.credentials import check_reach
from pushlane.api.refusals import CredentialRefused, RefusalCode
from pushlane.model import access_key
from pushlane.model.access_key import KeyKind
from pushlane.model.iam_identity import IamPrincipal
from pushlane.model.keyring import KeyRing
from pushlane.model.principal import Principal, Role
from pushlane.model.ticket import TicketClaims, sign_ticket
from pushlane.state.access_keys import end_key, revoke_key
from pushlane.state.principals import put_principal, remove_principal
from tests.unit.api.callers import RING, SECRET, START_MS, Callers

ROLE = "arn:aws:iam::123456789012:role/teams/a/Submitter"


@pytest.fixture
def callers() -> Callers:
    return Callers()


def come(callers: Callers, headers: dict[str, str], query: dict[str, str] | None = None, **said: str) -> Principal:
    return callers.credentials.authenticate(headers, query or {}, **{"method": "GET", "path": "/v1/tasks", **said})


def refused(callers: Callers, headers: dict[str, str], query: dict[str, str] | None = None, **said: str) -> RefusalCode:
    with pytest.raises(CredentialRefused) as caught:
        come(callers, headers, query, **said)
    assert SECRET not in str(caught.value)
    return caught.value.code


@pytest.mark.parametrize("form", ["bearer", "lower", "header"])
def test_a_key_says_who_calls(callers: Callers, form: str) -> None:
    key = callers.key(role=Role.OPERATOR)
    headers = {
        "bearer": {"authorization": f"Bearer {key}"},
        "lower": {"authorization": f"bearer   {key}"},
        "header": {"x-api-key": key},
    }[form]
    expected = Principal(principal_id="key.key00001", role=Role.OPERATOR, tenant_id="atlas", key_id="key00001")
    assert come(callers, headers) == expected


def test_an_agents_key_has_its_pool(callers: Callers) -> None:
    key = callers.key(role=Role.AGENT, tenant_id=None, pool="gpu", agent_id="one")
    found = come(callers, {"x-api-key": key})
    assert (found.pool, found.agent_id, found.tenant_id) == ("gpu", "one", None)


def test_nothing_shown(callers: Callers) -> None:
    assert refused(callers, {}) is RefusalCode.MISSING
    assert refused(callers, {}, {"key": callers.key()}) is RefusalCode.MISSING


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "Bearer a b",
        "Bearer pl_",
        "Bearer pl_key00001_",
        "Bearer \x00",
        "Bearer pl_key00001_" + "AB" * 32,
        f"Bearer pl_key00001_{SECRET}0",
        "Bearer pl_KEY00001_" + SECRET,
        "Bearer x",
        "Bearer ..",
        "Bearer a.b",
        "Bearer a.b.c.d",
        "Bearer pl_key#0001_" + SECRET,
        "pl_key00001_" + SECRET,
        f"Bearer pl_key00001_{SECRET}\n",
        "Bearer ∂∂",
    ],
)
def test_malformed(callers: Callers, authorization: str) -> None:
    callers.key()
    assert refused(callers, {"authorization": authorization}) is RefusalCode.MALFORMED


def test_two_credentials_that_differ_are_none(callers: Callers) -> None:
    key = callers.key()
    assert come(callers, {"authorization": f"Bearer {key}", "x-api-key": key}).key_id == "key00001"
    assert refused(callers, {"authorization": f"Bearer {key}", "x-api-key": "other"}) is RefusalCode.MALFORMED


def test_a_wrong_secret_and_an_unknown_id_are_the_same(callers: Callers) -> None:
    callers.key()
    said = []
    for text in ("pl_key00001_" + "cd" * 32, "pl_key00002_" + SECRET):
        with pytest.raises(CredentialRefused) as caught:
            come(callers, {"x-api-key": text})
        said.append((caught.value.code, caught.value.reason))
    assert said[0] == said[1]
    assert said[0][0] is RefusalCode.UNKNOWN


@pytest.mark.parametrize("known", [True, False])
def test_secrets_are_compared_in_constant_time(callers: Callers, known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    really = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return really(one, other)

    if known:
        callers.key()
    monkeypatch.setattr(hmac, "compare_digest", compare)
    refused(callers, {"x-api-key": "pl_key00001_" + "00" * 32})
    assert [len(one) == len(other) for one, other in compared] == [True], "one comparison, whether the key is known"


def test_a_key_without_a_digest_opens_nothing(callers: Callers) -> None:
    # The digest that stands in for none is no key's: nobody can have a secret that hashes to it, and it is no match.
    assert not access_key.secret_matches(None, SECRET)
    text = callers.key(kind=KeyKind.ENVELOPE)
    assert refused(callers, {"x-api-key": text}) is RefusalCode.UNKNOWN


def test_a_revocation_holds_within_a_second(callers: Callers) -> None:
    shown = {"x-api-key": callers.key()}
    come(callers, shown)
    assert revoke_key(callers.store, "key00001")
    callers.clock.advance(999)
    come(callers, shown)
    callers.clock.advance(1)
    assert refused(callers, shown) is RefusalCode.REVOKED


def test_a_key_ends_at_its_time(callers: Callers) -> None:
    shown = {"x-api-key": callers.key(expires_at_ms=START_MS + 5_000)}
    callers.clock.advance(4_999)
    come(callers, shown)
    callers.clock.advance(1)
    assert refused(callers, shown) is RefusalCode.EXPIRED


def test_a_key_that_is_replaced_goes_on_for_a_while(callers: Callers) -> None:
    shown = {"x-api-key": callers.key()}
    assert end_key(callers.store, "key00001", START_MS + 60_000)
    come(callers, shown)
    callers.clock.advance(60_000)
    assert refused(callers, shown) is RefusalCode.EXPIRED


@pytest.mark.parametrize("status", ["erasing", "suspended"])
def test_nobody_speaks_for_a_tenant_that_is_not_active(callers: Callers, status: str) -> None:
    shown = {"x-api-key": callers.key()}
    come(callers, shown)
    callers.tenant("atlas", status)
    callers.clock.advance(1_000)
    assert refused(callers, shown) is RefusalCode.INACTIVE_TENANT
    assert refused(callers, {"x-api-key": callers.key("key00009", tenant_id="nobody")}) is RefusalCode.INACTIVE_TENANT


def test_made_up_ids_fill_no_memory(callers: Callers) -> None:
    for number in range(2_500):
        refused(callers, {"x-api-key": f"pl_{number:08d}_{SECRET}"})
    assert len(callers.credentials._keys._answers) <= 1_000


def ticket(callers: Callers, stream: str | None = "t-1", ring: KeyRing = RING, **said: Any) -> str:
    callers.key()
    who = come(callers, {"x-api-key": f"pl_key00001_{SECRET}"})
    claims: dict[str, Any] = {"principal": who, "expires_at_ms": START_MS + 60_000, "stream": stream, **said}
    return sign_ticket(TicketClaims(**claims), ring)


def test_a_ticket_opens_its_stream_and_nothing_else(callers: Callers) -> None:
    shown = {"ticket": ticket(callers)}
    found = come(callers, {}, shown, path="/v1/tasks/t-1/events")
    assert found.by_ticket
    assert (found.stream, found.tenant_id) == ("t-1", "atlas")
    for method, path in (
        ("GET", "/v1/tasks/t-2/events"),
        ("GET", "/v1/tasks/t-1"),
        ("GET", "/v1/tasks/t-1/events/"),
        ("GET", "/v1/tasks//events"),
        ("GET", "/v1/events"),
        ("POST", "/v1/tasks/t-1/events"),
        ("DELETE", "/v1/tasks/t-1"),
        ("POST", "/v1/tickets"),
    ):
        assert refused(callers, {}, shown, method=method, path=path) is RefusalCode.FOREIGN, path


def test_a_ticket_for_any_stream(callers: Callers) -> None:
    shown = {"ticket": ticket(callers, stream=None)}
    come(callers, {}, shown, path="/v1/tasks/t-1/events")
    come(callers, {}, shown, path="/v1/workflows/w-1/events")
    come(callers, {}, shown, path="/v1/events")
    assert refused(callers, {}, shown, path="/v1/tasks") is RefusalCode.FOREIGN


def test_a_ticket_is_no_header_and_a_header_counts_before_it(callers: Callers) -> None:
    made = ticket(callers)
    assert refused(callers, {"authorization": f"Bearer {made}"}) is not RefusalCode.MISSING
    assert refused(callers, {"x-api-key": "nothing"}, {"ticket": made}, path="/v1/tasks/t-1/events")


def test_a_ticket_is_worth_no_more_than_its_key(callers: Callers) -> None:
    shown, path = {"ticket": ticket(callers)}, "/v1/tasks/t-1/events"
    revoke_key(callers.store, "key00001")
    callers.clock.advance(1_000)
    assert refused(callers, {}, shown, path=path) is RefusalCode.REVOKED


def test_tickets_that_open_nothing(callers: Callers) -> None:
    path = "/v1/tasks/t-1/events"
    good = ticket(callers)
    who = come(callers, {"x-api-key": f"pl_key00001_{SECRET}"})
    forged = sign_ticket(
        TicketClaims(principal=who, expires_at_ms=START_MS + 60_000), KeyRing("k1", {"k1": b"another key altogether"})
    )
    foreign = msgspec.structs.replace(
        TicketClaims(principal=who, expires_at_ms=START_MS + 60_000), aud="pushlane.attempt"
    )
    for text in (good[:-2] + "AA", forged, sign_ticket(foreign, RING), "x", "..", good + "x" * 4_000, ""):
        assert refused(callers, {}, {"ticket": text}, path=path) is RefusalCode.INVALID, text
    callers.clock.advance(60_000)
    assert refused(callers, {}, {"ticket": good}, path=path) is RefusalCode.EXPIRED


def test_a_connection_takes_header_ticket_or_key(callers: Callers) -> None:
    made = ticket(callers)
    known = callers.credentials
    assert known.authenticate_connection({}, {"ticket": made}).stream == "t-1"
    assert known.authenticate_connection({}, {"key": f"pl_key00001_{SECRET}"}).stream is None
    assert not known.authenticate_connection({"x-api-key": f"pl_key00001_{SECRET}"}, {"ticket": made}).by_ticket
    with pytest.raises(CredentialRefused) as caught:
        known.authenticate_connection({}, {})
    assert caught.value.code is RefusalCode.MISSING


def test_reach_is_checked_for_tickets_only() -> None:
    check_reach(Principal(principal_id="a", role=Role.PRODUCER, tenant_id="atlas"), "DELETE", "/v1/tasks/t-1")


def test_a_role_of_aws_and_its_sessions(callers: Callers) -> None:
    put_principal(callers.store, IamPrincipal(arn=ROLE, role=Role.PRODUCER, tenant_id="atlas"))
    known = callers.credentials
    found = known.of_iam("arn:aws:sts::123456789012:assumed-role/Submitter/session-1")
    assert (found.role, found.tenant_id) == (Role.PRODUCER, "atlas")
    assert known.of_iam(ROLE) == found
    for other in (
        "arn:aws:sts::999999999999:assumed-role/Submitter/session-1",
        "arn:aws:sts::123456789012:assumed-role/Other/Submitter",
        "arn:aws:iam::123456789012:user/Submitter",
        "arn:aws:iam::123456789012:root",
        "None",
        "",
    ):
        with pytest.raises(CredentialRefused):
            known.of_iam(other)
    assert remove_principal(callers.store, ROLE)
    callers.clock.advance(1_000)
    with pytest.raises(CredentialRefused):
        known.of_iam(ROLE)
