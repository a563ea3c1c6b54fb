"""The functions that decide: router, lifecycle, sweep, registry."""

from typing import Any

import aws_cdk as cdk
from constructs import Construct

from pushlane.cdk import Channels, Routing, State, dead_letter_output
from pushlane.settings.stage import StageConfig


class RoutingStack(cdk.Stack):
    """The deciding functions over the state and the channels."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: StageConfig,
        state: State,
        channels: Channels,
        **options: Any,
    ) -> None:
        super().__init__(scope, construct_id, **options)
        self.routing = Routing(
            self,
            "Routing",
            config=config,
            state=state,
            channels=channels,
            agent_queue_prefix=f"pushlane-{config.stage}-agent-",
        )
        dead_letter_output(self)
