"""The authorizer: one function that knows every caller, of the HTTP API and of the WebSocket API."""

from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_apigatewayv2 as apigw
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from constructs import Construct

from pushlane.cdk.bundling import Sources
from pushlane.cdk.python_function import PythonFunction
from pushlane.cdk.state import State
from pushlane.settings.edge import AuthorizerSettings
from pushlane.settings.stage import StageConfig

_TIMEOUT_SECONDS: Final = 10
_MEMORY_MB: Final = 512
# Credentials come in one of several places (a header or another, or a ticket in the query), and API Gateway demands all
# that it is told to look for. So it is told nothing of the caller, and keeps no answer: it would have nothing to keep
# it by.
_ALWAYS_THERE: Final = ["$context.routeKey"]


class Authorizer(Construct):
    """The authorizer function with its rights: it reads the config table and the signing keys, and writes nothing."""

    def __init__(self, scope: Construct, construct_id: str, *, config: StageConfig, state: State) -> None:
        super().__init__(scope, construct_id)
        self.authorizing = PythonFunction(
            self,
            "Authorizer",
            entry="lambdas.authorizer.handler",
            sources=Sources.of_pushlane(),
            settings=AuthorizerSettings(
                stage=config.stage.value,
                config_table=state.configuration.table_name,
                signing_secret_arn=state.signing_secret.secret_arn,
            ),
            config=config,
            timeout_seconds=_TIMEOUT_SECONDS,
            memory_mb=_MEMORY_MB,
            aws_services=("dynamodb", "secretsmanager"),
        )
        self.authorizing.allow("dynamodb:GetItem", "dynamodb:BatchGetItem", on=[state.configuration.table_arn])
        self.authorizing.allow("secretsmanager:GetSecretValue", on=[state.signing_secret.secret_arn])

    def of_http(self) -> apigw.IHttpRouteAuthorizer:
        """For routes of an HTTP API. A revoked key is refused as soon as the function itself has looked again."""
        return authorizers.HttpLambdaAuthorizer(
            "Callers",
            self.authorizing.function,
            identity_source=_ALWAYS_THERE,
            response_types=[authorizers.HttpLambdaResponseType.SIMPLE],
            results_cache_ttl=cdk.Duration.seconds(0),
        )

    def of_sockets(self) -> apigw.IWebSocketRouteAuthorizer:
        """For `$connect` of a WebSocket API."""
        return authorizers.WebSocketLambdaAuthorizer("Callers", self.authorizing.function, identity_source=[])
