"""Agents outside Lambda: the same `@agent` functions, run over the HTTP API (`pip install 'pushlane[client]'`)."""

from pushlane.agent.http.pushed import Pushed, PushedAgent
from pushlane.agent.http.runtime import HttpAgentRuntime
from pushlane.agent.http.transport import ApiRefused, Transport
from pushlane.agent.http.worker import Worker

__all__ = ["ApiRefused", "HttpAgentRuntime", "Pushed", "PushedAgent", "Transport", "Worker"]
