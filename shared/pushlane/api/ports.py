"""What the API needs of the outside: the router's ports, since it runs the same turn, and what only it needs."""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from pushlane.model.principal import Principal
from pushlane.model.target_url import PUBLIC_ONLY, TargetRules
from pushlane.ports import BlobStore, Clock, ItemStore, MessageSender, Schedules, TaskListing
from pushlane.router.ports import RouterPorts
from pushlane.router.push import Pusher
from pushlane.router.turn import TurnPorts


class ApiPorts(Struct, frozen=True, kw_only=True):
    """The router's ports and, each optional where a deployment may be without it, what single concerns need.

    `identify`: the principal that an HTTP event of API Gateway comes from, None without one. `new_id`: a fresh unique
    name. `sleep`: wait so many seconds (long polls). `listing`: tenants' tasks. `link`: a URL by which a stored value
    can be fetched for so many seconds. `beside`: begins some work beside what goes on, and returns how to wait for it
    (which raises what it raised). A concern's own port is a field here with the default None.
    """

    router: RouterPorts
    identify: Callable[[Mapping[str, Any]], Principal | None]
    new_id: Callable[[], str]
    sleep: Callable[[float], None]
    listing: TaskListing
    link: Callable[[str, int], str] | None = None
    events_queue_url: str | None = None
    targets: TargetRules = PUBLIC_ONLY
    schedules: Schedules | None = None
    schedules_place: str = ""
    beside: Callable[[Callable[[], object]], Callable[[], object]] = lambda work: work

    @property
    def turn(self) -> TurnPorts:
        return self.router.turn

    @property
    def store(self) -> ItemStore:
        return self.router.turn.store

    @property
    def sender(self) -> MessageSender:
        return self.router.turn.sender

    @property
    def blobs(self) -> BlobStore:
        return self.router.turn.blobs

    @property
    def clock(self) -> Clock:
        return self.router.turn.clock

    @property
    def pusher(self) -> Pusher:
        return self.router.pusher

    @property
    def log(self) -> Callable[..., None]:
        return self.router.log
