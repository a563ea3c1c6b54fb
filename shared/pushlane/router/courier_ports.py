"""What the courier needs of the outside."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from pushlane.model.keyring import KeyRing
from pushlane.model.target_url import Answer
from pushlane.ports import BlobStore, Clock, ItemStore, Poster
from pushlane.router.callbacks import CallbackDirectory


class HttpPoster(Protocol):
    """Posts to URLs of others."""

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """The answer; raises `InvalidTarget` for what may not be called, `TargetUnreachable` when none came."""
        ...


class Postponer(Protocol):
    """Has a queue show a received message again later."""

    def postpone(self, queue_arn: str, receipt: str, seconds: int) -> None:
        """Hide the message for so long from now. It does not raise: then the queue's own time counts."""
        ...


def in_turn(works: Sequence[Callable[[], bool]]) -> list[bool]:
    """Do one after the other, for where nothing runs beside."""
    return [work() for work in works]


class CourierPorts(Struct, frozen=True, kw_only=True):
    """`poster`: None where there is no WebSocket API. `side_by_side` does several things at once. `chance`: a fresh
    number in [0, 1). `log` takes an event name and its fields.
    """

    store: ItemStore
    blobs: BlobStore
    clock: Clock
    http: HttpPoster
    poster: Poster | None
    postponer: Postponer
    keyring: Callable[[], KeyRing]
    directory: CallbackDirectory
    callbacks_queue_arn: str
    outbound_queue_arn: str
    chance: Callable[[], float]
    log: Callable[..., None]
    side_by_side: Callable[[Sequence[Callable[[], bool]]], list[bool]] = in_turn
