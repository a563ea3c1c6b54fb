"""Reusable CDK constructs: a whole dispatcher, its parts, agents, follow-ups, and Python functions without Docker."""

from pushlane.cdk.agent_function import AgentFunction
from pushlane.cdk.bundling import Sources
from pushlane.cdk.channels import Channels
from pushlane.cdk.dispatcher import Dispatcher, DispatcherLike, DispatcherParts
from pushlane.cdk.edge import Edge
from pushlane.cdk.follow_up import FollowUp
from pushlane.cdk.observability import Observability
from pushlane.cdk.outputs import channel_outputs, dead_letter_output, state_outputs
from pushlane.cdk.python_function import PythonFunction
from pushlane.cdk.routing import Routing
from pushlane.cdk.stage import config_of_context, flag
from pushlane.cdk.state import State
from pushlane.cdk.tenant_door import TenantDoor

__all__ = [
    "AgentFunction",
    "Channels",
    "Dispatcher",
    "DispatcherLike",
    "DispatcherParts",
    "Edge",
    "FollowUp",
    "Observability",
    "PythonFunction",
    "Routing",
    "Sources",
    "State",
    "TenantDoor",
    "channel_outputs",
    "config_of_context",
    "dead_letter_output",
    "flag",
    "state_outputs",
]
