"""HTTP API and WebSocket API, their authorizer, and the courier to the outside."""

from typing import Any

import aws_cdk as cdk
from constructs import Construct

from pushlane.cdk import DispatcherLike, Edge, dead_letter_output


class ApiStack(cdk.Stack):
    """What people and programs outside the account call, and what calls them."""

    def __init__(self, scope: Construct, construct_id: str, *, dispatcher: DispatcherLike, **options: Any) -> None:
        super().__init__(scope, construct_id, **options)
        self.edge = Edge(
            self,
            "Edge",
            config=dispatcher.config,
            state=dispatcher.state,
            channels=dispatcher.channels,
            routing=dispatcher.routing,
        )
        dead_letter_output(self)
