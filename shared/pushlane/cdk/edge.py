"""The edge: everything by which people and programs outside the account reach a dispatcher, and it reaches them. HTTP
API, WebSocket API, the authorizer of both, and the courier.
"""

from constructs import Construct

from pushlane.cdk.api import Api
from pushlane.cdk.authorizer import Authorizer
from pushlane.cdk.channels import Channels
from pushlane.cdk.courier import Courier
from pushlane.cdk.outputs import api_outputs
from pushlane.cdk.routing import Routing
from pushlane.cdk.sockets import Sockets
from pushlane.cdk.stage import cors_origins, is_local
from pushlane.cdk.state import State
from pushlane.settings.stage import StageConfig


class Edge(Construct):
    """The API over a dispatcher's parts. `-c cors_origins=https://a.example,https://b.example` says where web pages may
    call the HTTP API from: by default anywhere at stage `local`, nowhere else.

    Raises `ValueError` when the parts were made without an API in mind (`-c api=true`).
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: StageConfig,
        state: State,
        channels: Channels,
        routing: Routing,
        outputs: bool = True,
    ) -> None:
        super().__init__(scope, construct_id)
        if not (config.api and config.event_log):
            raise ValueError("the API needs the tasks' event logs and a queue to the outside: deploy with -c api=true")
        self.authorizer = Authorizer(self, "Authorizer", config=config, state=state)
        self.api = Api(
            self,
            "Api",
            config=config,
            state=state,
            channels=channels,
            agent_queue_prefix=routing.agent_queue_prefix,
            authorizer=self.authorizer,
            origins=cors_origins(self, default=("*",) if is_local(config) else ()),
        )
        self.sockets = Sockets(
            self,
            "Sockets",
            config=config,
            state=state,
            channels=channels,
            agent_queue_prefix=routing.agent_queue_prefix,
            authorizer=self.authorizer,
        )
        self.courier = Courier(self, "Courier", config=config, state=state, channels=channels)
        self._let_post(routing)
        self.api.schedules.let_settle(self, "SweepSchedules", routing.sweep.sweeping.role, state)
        if outputs:
            api_outputs(self.api, self.sockets)

    def _let_post(self, routing: Routing) -> None:
        """All who post to connections close those that are slow."""
        roles = {
            "Sockets": self.sockets.connecting.role,
            "Streamer": routing.streamer.streaming.role,
            "Courier": self.courier.delivering.role,
        }
        for name, role in roles.items():
            self.sockets.let_manage(self, f"{name}Connections", role, "POST", "DELETE")
