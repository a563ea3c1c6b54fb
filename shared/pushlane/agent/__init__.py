"""SDK for agent authors: mark a function with `@agent`, raise `Permanent` for what no retry can mend."""

from pushlane.agent.context import AttemptLost, TaskContext
from pushlane.agent.definition import AgentDefinition, Permanent, agent

__all__ = ["AgentDefinition", "AttemptLost", "Permanent", "TaskContext", "agent"]
