"""Doors, queues and facts."""

from typing import Any

import aws_cdk as cdk
from constructs import Construct

from pushlane.cdk import Channels, channel_outputs, dead_letter_output
from pushlane.settings.stage import StageConfig


class ChannelsStack(cdk.Stack):
    """Buses, topics, stream and queues, each with where its undeliverable messages go."""

    def __init__(self, scope: Construct, construct_id: str, *, config: StageConfig, **options: Any) -> None:
        super().__init__(scope, construct_id, **options)
        self.channels = Channels(self, "Channels", config=config)
        channel_outputs(self.channels)
        dead_letter_output(self)
