"""What the router needs of the outside, beside what a turn needs."""

from collections.abc import Callable, Mapping

from msgspec import Struct

from pushlane.model.access_key import AccessKey
from pushlane.model.keyring import KeyRing
from pushlane.router.callbacks import Binding, NoCallbacks
from pushlane.router.held import HeldTenants
from pushlane.router.push import Pusher
from pushlane.router.quarantine import Quarantine
from pushlane.router.tenants import TenantDirectory
from pushlane.router.turn import TurnPorts
from pushlane.router.turn_spans import TurnSpans


def _no_key(_key_id: str) -> None:
    """Where nobody has keys."""


class RouterPorts(Struct, frozen=True, kw_only=True):
    """The turn's ports, and what intake and completion need beside them. `log` takes an event name and its fields.
    `access_key`: the access key of an id, as of a moment ago. `tenant_doors`: queue ARN -> the tenant whose door it is.
    `turn_spans`: None where turns are not traced.
    """

    turn: TurnPorts
    pusher: Pusher
    tenants: TenantDirectory
    quarantine: Quarantine
    held: HeldTenants
    keyring: Callable[[], KeyRing]
    accept_unsigned_tenant: bool
    results_queue_arn: str
    wakeups_queue_arn: str
    held_queue_arn: str
    held_queue_url: str
    log: Callable[..., None]
    callbacks: Binding = NoCallbacks()
    access_key: Callable[[str], AccessKey | None] = _no_key
    tenant_doors: Mapping[str, str] = {}
    turn_spans: TurnSpans | None = None
