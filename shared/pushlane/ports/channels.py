"""Everything that is sent: messages to queues, dispatches to agents, facts, frames to connections."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from pushlane.model.endpoint import Endpoint
from pushlane.model.live import Connection


class Message(Struct, frozen=True):
    """One queue message. `group` is the fairness group (the tenant) where the backend supports it. On a FIFO queue it
    is what stays in order, and `deduplication_id` is set: the same one within five minutes is taken once.
    `trace_header`: X-Ray's, which SQS hands to whoever receives the message.
    """

    body: str
    delay_seconds: int = 0
    group: str | None = None
    deduplication_id: str | None = None
    trace_header: str | None = None


class MessageSender(Protocol):
    """Sends to queues."""

    def send(self, queue_url: str, messages: Sequence[Message]) -> list[int]:
        """Send all, re-sending failed entries a bounded number of times; returns the indexes that were not accepted."""
        ...


class Dispatching(Protocol):
    """Sends dispatches to agents, to each kind of endpoint in its own way."""

    def send(self, endpoint: Endpoint, dispatches: Sequence[Message]) -> list[int]:
        """Send all to one agent; returns the indexes that were not accepted (their start leases push them again). To
        an agent that claims its tasks nothing is sent, and all is accepted.
        """
        ...


class PublishedFact(Struct, frozen=True):
    """A fact ready for the wire: its name, its JSON body and the attributes that subscribers filter by. Every fact goes
    to the bus; the topic gets those that are `announced`.
    """

    name: str
    body: str
    attributes: Mapping[str, str]
    announced: bool = True


class FactSink(Protocol):
    """Publishes facts, given as encoded JSON with their routing attributes."""

    def publish(self, facts: Sequence[PublishedFact]) -> list[int]:
        """Publish to the bus and the announcements topic; returns the indexes that either did not accept."""
        ...


class Frame(Struct, frozen=True):
    """What to post to a WebSocket connection: at most 128 KB of text."""

    connection: Connection
    body: bytes


class Posted(StrEnum):
    """What became of a frame: handed on, or its connection is closed, or takes no more (and is better closed)."""

    DELIVERED = "delivered"
    GONE = "gone"
    SLOW = "slow"


class Poster(Protocol):
    """Posts to WebSocket connections. It does not raise: what cannot be told counts as slow."""

    def post(self, frames: Sequence[Frame]) -> list[Posted]:
        """Post every frame, side by side, and say what became of each."""
        ...

    def close(self, connection: Connection) -> None:
        """Close a connection, so that its other end notices; one that is closed stays so."""
        ...
