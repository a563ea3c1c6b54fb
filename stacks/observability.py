"""The dashboard and the alarms on the whole."""

from typing import Any

import aws_cdk as cdk
from constructs import Construct

from pushlane.cdk import DispatcherLike, Edge, Observability


class ObservabilityStack(cdk.Stack):
    """Watches the other stacks and never stands in their way: what it refers to may be replaced or go, since the
    reference is weak; a strong one would keep them from being upgraded.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, dispatcher: DispatcherLike, edge: Edge | None, **options: Any
    ) -> None:
        super().__init__(scope, construct_id, **options)
        cdk.CrossStackReferences.of(self).consume(cdk.ReferenceStrength.WEAK)
        self.observability = Observability(
            self,
            "Observability",
            config=dispatcher.config,
            state=dispatcher.state,
            channels=dispatcher.channels,
            routing=dispatcher.routing,
            edge=edge,
        )
