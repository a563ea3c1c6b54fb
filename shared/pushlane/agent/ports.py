"""What the agent's runtime needs of the outside."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from pushlane.agent.heartbeat import Heartbeat
from pushlane.ports import BlobStore, Clock, ItemStore, MessageSender, Tracing

Log = Callable[..., None]


class AgentPorts(Struct, frozen=True, kw_only=True):
    """`new_call_id` names an invocation. `blobs` is called only for a large value, so that most invocations never pay
    for its client. `sleep` lets so many seconds pass. `intake_queue_urls`: one for each part of the tenants.
    `tracing`: None where nobody looks at traces.
    """

    store: ItemStore
    sender: MessageSender
    blobs: Callable[[], BlobStore]
    clock: Clock
    heartbeat: Heartbeat
    sleep: Callable[[float], Any]
    results_queue_url: str
    events_queue_url: str
    intake_queue_urls: tuple[str, ...]
    new_call_id: Callable[[], str]
    log: Log
    tracing: Tracing | None = None
