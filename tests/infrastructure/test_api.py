"""The API: every route asks who calls but those that are public, and no credential ends up in a log."""

from typing import Any

import pytest

from pushlane.api.catalogue import OPERATIONS
from pushlane.cdk.http_api import REQUEST_HEADERS, RESPONSE_HEADERS
from pushlane.local.browsers import CORS as LOCAL_CORS
from tests.infrastructure.templates import Resource, Templates
from tests.infrastructure.test_functions import SETTINGS, own

pytestmark = pytest.mark.xdist_group("infrastructure")  # what these tests share is expensive

KIND = "AWS::ApiGatewayV2::"


def routes(templates: Templates, api: str) -> dict[str, str]:
    """Route key -> how it is authorized, of the API whose construct path ends so."""
    found = templates.resources(f"{KIND}Route")
    return {
        one.properties["RouteKey"]: one.properties.get("AuthorizationType", "NONE")
        for one in found
        if templates.target(one.properties["ApiId"], one.stack).logical_id.startswith(api)
    }


def stage(templates: Templates, api: str) -> Resource:
    found = templates.resources(f"{KIND}Stage")
    (one,) = [one for one in found if one.logical_id.startswith(api)]
    return one


HTTP, IAM, SOCKETS = "EdgeApiHttp", "EdgeApiIamHttp", "EdgeSockets"


def test_there_is_no_api_where_it_is_not_asked_for(local: Templates) -> None:
    assert not [one for one in local.resources() if one.kind.startswith("AWS::ApiGateway")]


def test_every_route_asks_who_calls_but_the_public_ones(prod: Templates) -> None:
    found = routes(prod, HTTP)
    public = {key for key, authorization in found.items() if authorization == "NONE"}
    assert public == {f"{one.method} {one.path}" for one in OPERATIONS if one.public}
    methods = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
    assert found.keys() - public == {f"{method} /v1/{{proxy+}}" for method in methods}
    assert {found[key] for key in found.keys() - public} == {"CUSTOM"}


def test_every_operation_has_a_route(prod: Templates) -> None:
    methods = {key.split()[0] for key in routes(prod, HTTP) if key.endswith("/v1/{proxy+}")}
    for operation in OPERATIONS:
        assert operation.path.startswith("/v1/") or operation.public, operation.operation_id
        assert operation.method in methods, operation.operation_id


def test_machines_are_let_in_by_their_aws_credentials_alone(prod: Templates) -> None:
    found = routes(prod, IAM)
    assert len(found) == 6
    assert set(found.values()) == {"AWS_IAM"}


def test_the_answer_of_the_authorizer_is_kept_for_nobody_else(prod: Templates) -> None:
    """What API Gateway would keep it by has to be the caller's own; nothing that several callers share may be."""
    for one in prod.resources(f"{KIND}Authorizer"):
        properties = one.properties
        assert properties["AuthorizerType"] == "REQUEST"
        if "AuthorizerResultTtlInSeconds" in properties:
            assert properties["AuthorizerResultTtlInSeconds"] == 0
            assert properties["EnableSimpleResponses"] is True
            assert properties["AuthorizerPayloadFormatVersion"] == "2.0"


def test_a_connection_is_authorized_once_for_all(prod: Templates) -> None:
    assert routes(prod, SOCKETS) == {"$connect": "CUSTOM", "$disconnect": "NONE", "$default": "NONE"}


@pytest.mark.parametrize("api", [HTTP, IAM, SOCKETS])
def test_calls_are_throttled(prod: Templates, api: str) -> None:
    settings = stage(prod, api).properties["DefaultRouteSettings"]
    assert 0 < settings["ThrottlingRateLimit"] <= settings["ThrottlingBurstLimit"] <= 5_000


@pytest.mark.parametrize("api", [HTTP, IAM])
def test_the_access_log_names_the_caller_and_holds_no_credential(prod: Templates, api: str) -> None:
    settings: dict[str, Any] = stage(prod, api).properties["AccessLogSettings"]
    assert "$context.authorizer.tenant_id" in settings["Format"]
    for secret in ("$context.path", "querystring", "authorization", "header"):
        assert secret not in settings["Format"].lower()


def test_only_pages_that_were_named_may_call(prod: Templates) -> None:
    for one in prod.resources(f"{KIND}Api"):
        assert "CorsConfiguration" not in one.properties


def test_pages_elsewhere_may_send_what_operations_read() -> None:
    """By name: a wildcard does not stand for `authorization`. A browser sends the ETag that it has by itself."""
    read = {name for one in OPERATIONS for name in one.headers} - {"if-none-match"}
    assert read <= set(REQUEST_HEADERS)
    assert {"authorization", "traceparent", "if-match", "pushlane-reservation"} <= set(REQUEST_HEADERS)
    assert {"etag", "location", "retry-after"} <= set(RESPONSE_HEADERS)
    assert set(REQUEST_HEADERS) == set(LOCAL_CORS["AllowHeaders"])
    assert set(RESPONSE_HEADERS) == set(LOCAL_CORS["ExposeHeaders"])


def test_the_authorizer_reads_the_configuration_and_the_keys_and_nothing_else(prod: Templates) -> None:
    reads = {(action, "StateConfig") for action in ("dynamodb:GetItem", "dynamodb:BatchGetItem")}
    assert own(prod, "AuthorizerFunction") == reads | {("secretsmanager:GetSecretValue", "StateSigningSecret")}


def test_connections_are_posted_to_by_who_greets_streams_or_delivers_and_by_nobody_else(prod: Templates) -> None:
    managing = {
        name: {
            on.rpartition("/live/")[2] for action, on in own(prod, name) if action == "execute-api:ManageConnections"
        }
        for name in SETTINGS
    }
    post = {"POST/@connections/*", "DELETE/@connections/*"}
    posting = ("SocketsFunction", "StreamerFunction", "CourierFunction")
    assert {name: on for name, on in managing.items() if on} == dict.fromkeys(posting, post)
