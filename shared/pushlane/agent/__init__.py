"""SDK for agent authors: mark a function with `@agent`, raise `Permanent` for what no retry can mend and `Throttled`
when a provider says to come back later. What it may ask and say while it works is `TaskContext`.
"""

from pushlane.agent.context import TaskContext
from pushlane.agent.definition import AgentDefinition, agent
from pushlane.agent.errors import AttemptLost, ChildFailed, Permanent, SignalTimeout, Throttled
from pushlane.agent.submits import Child, NotSubmitted
from pushlane.model.attempt import Order
from pushlane.model.signals import Signal

__all__ = [
    "AgentDefinition",
    "AttemptLost",
    "Child",
    "ChildFailed",
    "NotSubmitted",
    "Order",
    "Permanent",
    "Signal",
    "SignalTimeout",
    "TaskContext",
    "Throttled",
    "agent",
]
