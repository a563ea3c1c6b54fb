"""All stacks of one stage, composed from the context of the CDK app."""

from dataclasses import dataclass
from typing import Any

import aws_cdk as cdk

from pushlane.cdk import DispatcherParts, config_of_context
from stacks.agents import AgentsStack
from stacks.api import ApiStack
from stacks.channels import ChannelsStack
from stacks.observability import ObservabilityStack
from stacks.routing import RoutingStack
from stacks.state import StateStack


@dataclass(frozen=True, kw_only=True)
class Stacks:
    """The stacks in the order in which they depend on each other. `api` is None where it is not asked for,
    `observability` where the stage has no alarms.
    """

    state: StateStack
    channels: ChannelsStack
    routing: RoutingStack
    agents: AgentsStack
    api: ApiStack | None
    observability: ObservabilityStack | None


def compose(app: cdk.App) -> Stacks:
    """Add the stacks `Pushlane-<Stage>-<Concern>` of the stage that the context names."""
    config = config_of_context(app)
    name = f"Pushlane-{config.stage.capitalize()}"
    state = StateStack(app, f"{name}-State", config=config, **_options(app))
    channels = ChannelsStack(app, f"{name}-Channels", config=config, **_options(app))
    routing = RoutingStack(
        app, f"{name}-Routing", config=config, state=state.state, channels=channels.channels, **_options(app)
    )
    parts = DispatcherParts(config=config, state=state.state, channels=channels.channels, routing=routing.routing)
    agents = AgentsStack(app, f"{name}-Agents", dispatcher=parts, **_options(app))
    api = ApiStack(app, f"{name}-Api", dispatcher=parts, **_options(app)) if config.api else None
    observability = None
    if config.alarms:
        edge = None if api is None else api.edge
        observability = ObservabilityStack(app, f"{name}-Observability", dispatcher=parts, edge=edge, **_options(app))
    cdk.Tags.of(app).add("pushlane:stage", config.stage.value)
    return Stacks(state=state, channels=channels, routing=routing, agents=agents, api=api, observability=observability)


def _options(app: cdk.App) -> dict[str, Any]:
    """`-c assets_bucket=` deploys with the caller's own credentials through that bucket: no bootstrap stack needed."""
    bucket = app.node.try_get_context("assets_bucket")
    if not bucket:
        return {}
    synthesizer = cdk.CliCredentialsStackSynthesizer(file_assets_bucket_name=str(bucket))
    return {"synthesizer": synthesizer}
