"""The public test kit: a whole Pushlane in memory, on a clock that you move."""

from pushlane.inmemory import ManualClock
from pushlane.testing.by_hand import AttemptByHand
from pushlane.testing.dispatcher import InMemoryDispatcher, NotIdle
from pushlane.testing.events import kinesis_event, sqs_event, submit_envelope

__all__ = [
    "AttemptByHand",
    "InMemoryDispatcher",
    "ManualClock",
    "NotIdle",
    "kinesis_event",
    "sqs_event",
    "submit_envelope",
]
