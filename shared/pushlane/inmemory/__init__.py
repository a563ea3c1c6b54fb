"""The ports in memory, with the semantics of those on AWS: for simulations, tests and fault injection."""

from pushlane.inmemory.blobs import InMemoryBlobs
from pushlane.inmemory.channels import InMemorySender, InMemorySink
from pushlane.inmemory.clock import ManualClock
from pushlane.inmemory.poster import InMemoryPoster
from pushlane.inmemory.spans import InMemorySpans
from pushlane.inmemory.store import ChangeListener, Faults, InMemoryItemStore

__all__ = [
    "ChangeListener",
    "Faults",
    "InMemoryBlobs",
    "InMemoryItemStore",
    "InMemoryPoster",
    "InMemorySender",
    "InMemorySink",
    "InMemorySpans",
    "ManualClock",
]
