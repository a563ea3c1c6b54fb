"""The public test kit: a whole Pushlane in memory, on a clock that you move; and one agent alone, with `run_agent`."""

from pushlane.agent.heartbeat.inmemory import InMemoryHeartbeats, KeptInMemory, Process
from pushlane.agent.rehearsal import AgentRun, EndlessRun, run_agent
from pushlane.inmemory import ManualClock
from pushlane.testing.by_hand import AttemptByHand
from pushlane.testing.deliveries import NotIdle
from pushlane.testing.dispatcher import InMemoryDispatcher
from pushlane.testing.events import kinesis_event, sqs_event, submit_envelope

__all__ = [
    "AgentRun",
    "AttemptByHand",
    "EndlessRun",
    "InMemoryDispatcher",
    "InMemoryHeartbeats",
    "KeptInMemory",
    "ManualClock",
    "NotIdle",
    "Process",
    "kinesis_event",
    "run_agent",
    "sqs_event",
    "submit_envelope",
]
