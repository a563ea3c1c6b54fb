"""An HTTP API in front of one function: its routes, its stage, its access log, what browsers may."""

import json
from collections.abc import Sequence
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_apigatewayv2 as apigw
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_logs as logs
from constructs import Construct

from pushlane.cdk.python_function import PythonFunction, log_group
from pushlane.cdk.stage import is_local
from pushlane.settings.stage import StageConfig

EVERYTHING: Final = "/v1/{proxy+}"
# What asks for no credential: the document of the API, the console's page (its data asks for one), and hooks, which
# prove themselves by their signature.
PUBLIC: Final = (
    (apigw.HttpMethod.GET, "/v1/openapi.json"),
    (apigw.HttpMethod.GET, "/console"),
    (apigw.HttpMethod.GET, "/console/{file}"),
    (apigw.HttpMethod.POST, "/v1/hooks/{hook_id}"),
)
_METHODS: Final = (
    apigw.HttpMethod.GET,
    apigw.HttpMethod.HEAD,
    apigw.HttpMethod.POST,
    apigw.HttpMethod.PUT,
    apigw.HttpMethod.PATCH,
    apigw.HttpMethod.DELETE,
)
_RATE_A_SECOND: Final = 200
_BURST: Final = 400
_CORS_DAYS: Final = 1
# What operations read of a request, and say beside the body of an answer.
REQUEST_HEADERS: Final = (
    *("authorization", "content-type", "idempotency-key", "if-match", "last-event-id", "pushlane-reservation"),
    *("traceparent", "x-api-key"),
)
RESPONSE_HEADERS: Final = ("etag", "location", "retry-after", "x-request-id")
_LOGGED: Final = {
    "requestId": "$context.requestId",
    "time": "$context.requestTimeEpoch",
    "ip": "$context.identity.sourceIp",
    "method": "$context.httpMethod",
    # The route, not the path, and no query: a ticket in it would be good for an hour.
    "route": "$context.routeKey",
    "status": "$context.status",
    "bytes": "$context.responseLength",
    "latency_ms": "$context.responseLatency",
    "integration_ms": "$context.integrationLatency",
    "principal_id": "$context.authorizer.principal_id",
    "tenant_id": "$context.authorizer.tenant_id",
    "error": "$context.error.message",
    "authorizer_error": "$context.authorizer.error",
}


class HttpApi(Construct):
    """One HTTP API whose every route leads to one function, each call authorized by `authorizer`.

    `public` routes are not. `origins`: where web pages may call it from; none: only pages of the API's own host.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: StageConfig,
        function: PythonFunction,
        authorizer: apigw.IHttpRouteAuthorizer,
        public: Sequence[tuple[apigw.HttpMethod, str]] = (),
        origins: Sequence[str] = (),
    ) -> None:
        super().__init__(scope, construct_id)
        self._config = config
        self.api = apigw.HttpApi(
            self, "Api", create_default_stage=False, cors_preflight=_cors(origins) if origins else None
        )
        # One permission for all routes: with one each, the function's policy outgrows its limit.
        integration = integrations.HttpLambdaIntegration(
            "Integration", function.function, scope_permission_to_route=False
        )
        self.api.add_routes(path=EVERYTHING, integration=integration, authorizer=authorizer, methods=list(_METHODS))
        for method, path in public:
            self.api.add_routes(path=path, integration=integration, methods=[method])
        self._stage()

    @property
    def url(self) -> str:
        """Where it answers; the paths of its operations follow."""
        return self.api.api_endpoint

    def _stage(self) -> None:
        stage = apigw.HttpStage(
            self,
            "Stage",
            http_api=self.api,
            auto_deploy=True,
            throttle=apigw.ThrottleSettings(rate_limit=_RATE_A_SECOND, burst_limit=_BURST),
        )
        if not is_local(self._config):
            _log_access(stage, log_group(self, self._config))


def _cors(origins: Sequence[str]) -> apigw.CorsPreflightOptions:
    """No credentials of the browser's own: callers show theirs in a header or as a ticket, never in a cookie."""
    return apigw.CorsPreflightOptions(
        allow_origins=list(origins),
        allow_methods=[apigw.CorsHttpMethod.ANY],
        allow_headers=list(REQUEST_HEADERS),
        expose_headers=list(RESPONSE_HEADERS),
        max_age=cdk.Duration.days(_CORS_DAYS),
    )


def _log_access(stage: apigw.HttpStage, group: logs.LogGroup) -> None:
    """By the underlying resource: the stage takes a settings object only from code of its own language."""
    resource = stage.node.default_child
    if not isinstance(resource, apigw.CfnStage):
        raise TypeError(f"a stage is made of a CfnStage, not of {type(resource).__name__}")
    resource.access_log_settings = apigw.CfnStage.AccessLogSettingsProperty(
        destination_arn=group.log_group_arn, format=json.dumps(_LOGGED)
    )
