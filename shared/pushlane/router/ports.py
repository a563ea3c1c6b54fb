"""What the router needs of the outside, beside what a turn needs."""

from collections.abc import Callable

from msgspec import Struct

from pushlane.router.held import HeldTenants
from pushlane.router.push import Pusher
from pushlane.router.quarantine import Quarantine
from pushlane.router.tenants import TenantDirectory
from pushlane.router.turn import TurnPorts


class RouterPorts(Struct, frozen=True, kw_only=True):
    """The turn's ports, and what intake and completion need beside them. `log` takes an event name and its fields."""

    turn: TurnPorts
    pusher: Pusher
    tenants: TenantDirectory
    quarantine: Quarantine
    held: HeldTenants
    signing_key: Callable[[], bytes]
    accept_unsigned_tenant: bool
    results_queue_arn: str
    wakeups_queue_arn: str
    held_queue_arn: str
    held_queue_url: str
    log: Callable[..., None]
