"""Observability: the dashboard of a dispatcher and the alarms on how it does."""

from constructs import Construct

from pushlane.cdk.channels import Channels
from pushlane.cdk.dashboard import PushlaneDashboard
from pushlane.cdk.edge import Edge
from pushlane.cdk.health_alarms import HealthAlarms
from pushlane.cdk.routing import Routing
from pushlane.cdk.state import State
from pushlane.cdk.watched import watched
from pushlane.settings.stage import StageConfig


class Observability(Construct):
    """Dashboard and alarms over a dispatcher's parts. Raises `ValueError` where the stage has no alarms."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: StageConfig,
        state: State,
        channels: Channels,
        routing: Routing,
        edge: Edge | None,
    ) -> None:
        super().__init__(scope, construct_id)
        if not config.alarms:
            raise ValueError(f"stage {config.stage} has no alarms, and an emulator no metrics to raise them by")
        parts = watched(config.stage.value, state, channels, routing, edge)
        self.alarms = HealthAlarms(self, "Alarms", alarms=channels.alarms, parts=parts)
        self.dashboard = PushlaneDashboard(self, "Dashboard", parts=parts)
