"""SDK for agent authors: mark a function with `@agent`, raise `Permanent` for what no retry can mend and `Throttled`
when a provider says to come back later.
"""

from pushlane.agent.context import AttemptLost, TaskContext
from pushlane.agent.definition import AgentDefinition, Permanent, Throttled, agent

__all__ = ["AgentDefinition", "AttemptLost", "Permanent", "TaskContext", "Throttled", "agent"]
