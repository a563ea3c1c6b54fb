"""Routing: the functions that decide and tell. Router, lifecycle, streamer, sweep and the registry of agents."""

from constructs import Construct

from pushlane.cdk.channels import Channels
from pushlane.cdk.lifecycle import Lifecycle
from pushlane.cdk.registry import Registry
from pushlane.cdk.router import Router
from pushlane.cdk.state import State
from pushlane.cdk.streamer import Streamer
from pushlane.cdk.sweep import Sweep
from pushlane.settings.stage import StageConfig


class Routing(Construct):
    """The deciding functions over a state and its channels.

    `agent_queue_prefix` begins the name of every agent's dispatch queue: agents are added by later stacks, so the
    router's right to push to them is by that name.
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
    ) -> None:
        super().__init__(scope, construct_id)
        self.agent_queue_prefix = agent_queue_prefix
        self.router = Router(
            self, "Router", config=config, state=state, channels=channels, agent_queue_prefix=agent_queue_prefix
        )
        self.sweep = Sweep(
            self, "Sweep", config=config, state=state, channels=channels, agent_queue_prefix=agent_queue_prefix
        )
        self.lifecycle = Lifecycle(self, "Lifecycle", config=config, state=state, channels=channels)
        self.streamer = Streamer(self, "Streamer", config=config, state=state, channels=channels)
        self.registry = Registry(self, "Registry", config=config, state=state, channels=channels)
