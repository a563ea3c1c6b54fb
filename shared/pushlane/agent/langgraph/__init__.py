"""LangGraph graphs as agents (extra `langgraph`): every node's end is a checkpoint, an interrupt waits for a signal."""

from pushlane.agent.langgraph.running import run_graph
from pushlane.agent.langgraph.saver import TaskSaver

__all__ = ["TaskSaver", "run_graph"]
