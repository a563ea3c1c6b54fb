"""The WebSocket API: connections that watch tasks, and connected agents.

What arrives goes to one function, which also posts what there is when a subscription begins; what comes later is posted
by the streamer and the courier, straight to the connection.
"""

from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_apigatewayv2 as apigw
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_iam as iam
from constructs import Construct

from pushlane.cdk.api import allow_calls, calls_settings
from pushlane.cdk.authorizer import Authorizer
from pushlane.cdk.bundling import Sources
from pushlane.cdk.channels import Channels
from pushlane.cdk.python_function import PythonFunction
from pushlane.cdk.stage import is_local
from pushlane.cdk.state import State
from pushlane.cdk.turn_grants import TURN_SERVICES
from pushlane.settings.stage import StageConfig

STAGE_NAME: Final = "live"
_TIMEOUT_SECONDS: Final = 29  # API Gateway waits no longer
_MEMORY_MB: Final = 512
_CONNECTING: Final = ("dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem")
_RATE_A_SECOND: Final = 200
_BURST: Final = 400


class Sockets(Construct):
    """The WebSocket API, its function and that function's rights. Only `$connect` is authorized: by it a connection has
    its principal, for as long as it lasts.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: StageConfig,
        state: State,
        channels: Channels,
        agent_queue_prefix: str,
        authorizer: Authorizer,
    ) -> None:
        super().__init__(scope, construct_id)
        self.connecting = PythonFunction(
            self,
            "Sockets",
            entry="lambdas.sockets.handler",
            sources=Sources.of_pushlane(),
            settings=calls_settings(config, state, channels),
            config=config,
            timeout_seconds=_TIMEOUT_SECONDS,
            memory_mb=_MEMORY_MB,
            aws_services=(*TURN_SERVICES, "lambda", "sns", "apigatewaymanagementapi"),
        )
        allow_calls(self.connecting, state, channels, agent_queue_prefix)
        self.connecting.allow(*_CONNECTING, on=[state.connections.table_arn])
        self.api = apigw.WebSocketApi(
            self,
            "Api",
            route_selection_expression="$request.body.action",
            connect_route_options=apigw.WebSocketRouteOptions(
                integration=self._integration("Connect"), authorizer=authorizer.of_sockets()
            ),
            disconnect_route_options=apigw.WebSocketRouteOptions(integration=self._integration("Disconnect")),
            default_route_options=apigw.WebSocketRouteOptions(
                integration=self._integration("Message"),
                # An emulator passes answers on without being told to, and knows no resource that tells it.
                return_response=not is_local(config),
            ),
        )
        apigw.WebSocketStage(
            self,
            "Stage",
            web_socket_api=self.api,
            stage_name=STAGE_NAME,
            auto_deploy=True,
            throttle=apigw.ThrottleSettings(rate_limit=_RATE_A_SECOND, burst_limit=_BURST),
        )

    @property
    def url(self) -> str:
        """Where to connect."""
        return f"{self.api.api_endpoint}/{STAGE_NAME}"

    def let_manage(self, scope: Construct, construct_id: str, role: iam.IRole, *methods: str) -> None:
        """Let a function post to connections (`POST`) and close them (`DELETE`), by a policy that lies in `scope`: the
        function's own stack may come before this one, and not know of it.
        """
        stack = cdk.Stack.of(self)
        arns = [
            stack.format_arn(
                service="execute-api",
                resource=self.api.api_id,
                resource_name=f"{STAGE_NAME}/{method}/@connections/*",
            )
            for method in methods
        ]
        statement = iam.PolicyStatement(actions=["execute-api:ManageConnections"], resources=arns)
        iam.Policy(scope, construct_id, roles=[role], statements=[statement])

    def _integration(self, name: str) -> integrations.WebSocketLambdaIntegration:
        return integrations.WebSocketLambdaIntegration(name, self.connecting.function)
