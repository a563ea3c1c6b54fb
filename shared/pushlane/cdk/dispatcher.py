"""A whole Pushlane: in one construct for a foreign app, or composed of the same parts over several stacks."""

from dataclasses import dataclass
from typing import Protocol

import aws_cdk as cdk
from constructs import Construct

from pushlane.cdk.channels import Channels
from pushlane.cdk.edge import Edge
from pushlane.cdk.observability import Observability
from pushlane.cdk.outputs import channel_outputs, dead_letter_output, state_outputs
from pushlane.cdk.producers import STAGE_TAG
from pushlane.cdk.routing import Routing
from pushlane.cdk.stage import config_of_context
from pushlane.cdk.state import State
from pushlane.settings.stage import StageConfig

_NAME_CHARACTERS_MAX = 32


class DispatcherLike(Protocol):
    """What agents and rules are attached to: a `Dispatcher`, or `DispatcherParts` of several stacks."""

    @property
    def config(self) -> StageConfig: ...
    @property
    def state(self) -> State: ...
    @property
    def channels(self) -> Channels: ...
    @property
    def routing(self) -> Routing: ...


@dataclass(frozen=True, kw_only=True)
class DispatcherParts:
    """The parts of a dispatcher whose stacks were composed one by one."""

    config: StageConfig
    state: State
    channels: Channels
    routing: Routing


class Dispatcher(Construct):
    """State, channels and routing in the stack that it is created in, with the outputs that clients read.

    `config` defaults to that of the context's stage; `edge` is None where it has no API, `observability` where it has
    no alarms. Raises what bundling raises when a handler cannot be bundled.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, config: StageConfig | None = None, outputs: bool = True
    ) -> None:
        super().__init__(scope, construct_id)
        self.config = config or config_of_context(self)
        # Clients find the stack by it, and doors that are bound to principals the roles of the installation.
        cdk.Tags.of(cdk.Stack.of(self)).add(STAGE_TAG, self.config.stage.value)
        self.state = State(self, "State", config=self.config)
        self.channels = Channels(self, "Channels", config=self.config)
        self.routing = Routing(
            self,
            "Routing",
            config=self.config,
            state=self.state,
            channels=self.channels,
            agent_queue_prefix=_agent_queue_prefix(self),
        )
        self.edge = self._edge(outputs) if self.config.api else None
        self.observability = self._observability() if self.config.alarms else None
        if outputs:
            state_outputs(self.state)
            channel_outputs(self.channels)
            dead_letter_output(cdk.Stack.of(self))

    def _edge(self, outputs: bool) -> Edge:
        return Edge(
            self,
            "Edge",
            config=self.config,
            state=self.state,
            channels=self.channels,
            routing=self.routing,
            outputs=outputs,
        )

    def _observability(self) -> Observability:
        return Observability(
            self,
            "Observability",
            config=self.config,
            state=self.state,
            channels=self.channels,
            routing=self.routing,
            edge=self.edge,
        )


def _agent_queue_prefix(scope: Construct) -> str:
    name = cdk.Names.unique_resource_name(scope, max_length=_NAME_CHARACTERS_MAX, separator="-")
    return f"{name}-agent-"
