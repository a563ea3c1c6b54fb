"""The authorizer's answers to API Gateway, and what a function behind it makes of them."""

from typing import Any

import pytest

from pushlane.api.authorizer import Authorizer
from pushlane.api.caller import Callers as EventCallers
from pushlane.api.caller import context_of, principal_from
from pushlane.api.refusals import CredentialRefused
from pushlane.inmemory import InMemoryItemStore
from pushlane.model.errors import StoreUnavailable
from pushlane.model.iam_identity import IamPrincipal
from pushlane.model.issuer import KeysUnavailable
from pushlane.model.principal import Principal, Role
from pushlane.model.ticket import TicketClaims, sign_ticket
from pushlane.state.access_keys import revoke_key
from pushlane.state.principals import put_principal
from tests.unit.api.callers import JWKS_URL, RING, SECRET, START_MS, Callers, connect_event, event


class World(Callers):
    """An authorizer, and an application behind it that has never seen the credential's secret."""

    def __init__(self) -> None:
        super().__init__()
        self.logged: list[tuple[str, dict[str, Any]]] = []
        self.authorizer = Authorizer(self.credentials, lambda name, **said: self.logged.append((name, said)))
        self.behind = EventCallers(self.credentials)


@pytest.fixture
def world() -> World:
    return World()


def test_simple_response(world: World) -> None:
    key = world.key(role=Role.AGENT, pool="gpu")
    answer = world.authorizer.handle(event({"Authorization": f"Bearer {key}"}))
    context = {"principal_id": "key.key00001", "role": "agent", "tenant_id": "atlas", "pool": "gpu"}
    assert answer == {"isAuthorized": True, "context": context | {"key_id": "key00001", "by_ticket": "false"}}
    came = world.behind.identify(event(authorizer={"lambda": answer["context"]}))
    assert came == Principal(
        principal_id="key.key00001", role=Role.AGENT, tenant_id="atlas", pool="gpu", key_id="key00001"
    )


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Bearer x"}, {"x-api-key": "pl_key00001_" + "00" * 32}, None]
)
def test_refusals_are_answers_and_say_nothing(world: World, headers: dict[str, str] | None) -> None:
    world.key()
    assert world.authorizer.handle(event(headers)) == {"isAuthorized": False}
    (name, said), *more = world.logged
    assert (name, more) == ("credential-refused", [])
    assert set(said) == {"code", "reason", "request_id"}
    assert SECRET not in str(said)


def test_a_revoked_key(world: World) -> None:
    shown = event({"x-api-key": world.key()})
    assert world.authorizer.handle(shown)["isAuthorized"]
    revoke_key(world.store, "key00001")
    world.clock.advance(1_000)
    assert not world.authorizer.handle(shown)["isAuthorized"]


def test_connecting_gets_a_policy(world: World) -> None:
    key = world.key()
    allowed = world.authorizer.handle(connect_event(query={"key": key}))
    resource = connect_event()["methodArn"]
    statement = {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": resource}
    assert allowed["policyDocument"] == {"Version": "2012-10-17", "Statement": [statement]}
    assert allowed["principalId"] == "key.key00001"
    # API Gateway hands the context on beside fields of its own.
    request = {"authorizer": {**allowed["context"], "principalId": "key.key00001", "integrationLatency": 7}}
    came = world.behind.connection({"requestContext": request})
    assert (came.tenant_id, came.by_ticket) == ("atlas", False)

    for shown in (
        connect_event(),
        connect_event({}, {}),
        connect_event(query={"key": "x"}),
        connect_event({"X-Api-Key": "x"}),
    ):
        denied = world.authorizer.handle(shown)
        assert denied["policyDocument"]["Statement"][0]["Effect"] == "Deny"
        assert "context" not in denied


def test_a_ticket_connects_as_what_it_is(world: World) -> None:
    world.key()
    who = world.credentials.principal_of(f"pl_key00001_{SECRET}")
    made = sign_ticket(TicketClaims(principal=who, expires_at_ms=START_MS + 60_000, stream="t-1"), RING)
    context = world.authorizer.handle(connect_event(query={"ticket": made}))["context"]
    came = world.behind.connection({"requestContext": {"authorizer": context}})
    assert came.by_ticket
    assert came.stream == "t-1"


def test_an_answer_that_was_kept_for_another_route_lets_a_ticket_no_further(world: World) -> None:
    world.key()
    who = world.credentials.principal_of(f"pl_key00001_{SECRET}")
    made = sign_ticket(TicketClaims(principal=who, expires_at_ms=START_MS + 60_000, stream="t-1"), RING)
    query = {"ticket": made}
    context = world.authorizer.handle(event({}, query, path="/v1/tasks/t-1/events"))["context"]
    kept: dict[str, Any] = {"authorizer": {"lambda": context}}
    assert world.behind.identify(event({}, query, path="/v1/tasks/t-1/events", **kept)) is not None
    assert world.behind.identify(event({}, query, path="/v1/tasks/t-2/events", **kept)) is None
    assert world.behind.identify(event({}, query, path="/v1/tasks/t-1", method="DELETE", **kept)) is None


def test_a_named_stage_stands_before_the_path(world: World) -> None:
    world.key()
    who = world.credentials.principal_of(f"pl_key00001_{SECRET}")
    made = sign_ticket(TicketClaims(principal=who, expires_at_ms=START_MS + 60_000, stream="t-1"), RING)
    shown = event({}, {"ticket": made}, path="/dev/v1/tasks/t-1/events", stage="dev")
    assert world.authorizer.handle(shown)["isAuthorized"]


def test_in_process_the_headers_say_who_calls(world: World) -> None:
    key = world.key()
    assert world.behind.caller(event({"Authorization": f"Bearer {key}"})).tenant_id == "atlas"
    assert world.behind.identify(event()) is None
    with pytest.raises(CredentialRefused):
        world.behind.caller(event({"x-api-key": "nothing"}))


def test_signed_by_a_role_of_aws(world: World) -> None:
    arn = "arn:aws:iam::123456789012:role/Submitter"
    put_principal(world.store, IamPrincipal(arn=arn, role=Role.PRODUCER, tenant_id="birch"))
    shown = {"accessKey": "AKIA", "userArn": "arn:aws:sts::123456789012:assumed-role/Submitter/one"}
    came = world.behind.identify(event({"authorization": "AWS4-HMAC-SHA256 ..."}, authorizer={"iam": shown}))
    assert came is not None
    assert (came.tenant_id, came.role) == ("birch", Role.PRODUCER)
    assert world.behind.identify(event(authorizer={"iam": {"userArn": None}})) is None


def test_what_cannot_be_said_now_is_no_refusal(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.issuer()
    del world.documents[JWKS_URL]
    with pytest.raises(KeysUnavailable):
        world.authorizer.handle(event({"authorization": f"Bearer {world.token()}"}))

    def unavailable(*_: object) -> None:
        raise StoreUnavailable("no answer")

    monkeypatch.setattr(InMemoryItemStore, "get", unavailable)
    with pytest.raises(StoreUnavailable):
        world.authorizer.handle(event({"x-api-key": f"pl_key00001_{SECRET}"}))


def test_a_context_says_all_of_a_principal() -> None:
    whole = Principal(
        principal_id="a", role=Role.AGENT, tenant_id="t", pool="p", agent_id="g", key_id="k", by_ticket=True, stream="s"
    )
    assert principal_from(context_of(whole)) == whole
    least = Principal(principal_id="a", role=Role.ADMIN)
    assert principal_from(context_of(least)) == least
