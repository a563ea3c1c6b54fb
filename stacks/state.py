"""What must outlive deployments: tables, claims bucket, signing secret."""

from typing import Any

import aws_cdk as cdk
from constructs import Construct

from pushlane.cdk import State, state_outputs
from pushlane.settings.stage import StageConfig


class StateStack(cdk.Stack):
    """Tables, bucket and secret. Protected from deletion where the stage keeps its state."""

    def __init__(self, scope: Construct, construct_id: str, *, config: StageConfig, **options: Any) -> None:
        super().__init__(scope, construct_id, termination_protection=config.retain_state, **options)
        self.state = State(self, "State", config=config)
        state_outputs(self.state)
