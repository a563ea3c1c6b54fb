"""The console without a deployed API: the API's application in this process, over an installation's tables.

It reads with the same operations as the API. Dead tasks are brought back and given up by commands through a door, as
`pushlane dlq` does it: turns run where the router is, and not on an operator's machine.
"""

import hmac
import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import quote

import msgspec

from pushlane.api.access import owned_task
from pushlane.api.app import Api
from pushlane.api.caller import Callers, shown
from pushlane.api.catalogue import OPERATIONS
from pushlane.api.credentials import CredentialPorts, Credentials
from pushlane.api.dead_letters import Risen
from pushlane.api.operations import Operation, Request, Response
from pushlane.api.ports import ApiPorts
from pushlane.aws.blobs import S3TurnBlobStore
from pushlane.aws.clock import StoreClock
from pushlane.aws.dynamodb import DynamoItemStore
from pushlane.aws.links import link_to
from pushlane.aws.listing import DynamoTaskListing
from pushlane.aws.queues import SqsSender
from pushlane.client import Installation
from pushlane.model.issuer import KeysUnavailable
from pushlane.model.keyring import KeyRing, ring_of
from pushlane.model.principal import Principal, Role
from pushlane.model.task import Status
from pushlane.router.endpoints import Endpoints
from pushlane.router.held import HeldTenants
from pushlane.router.policy import PolicyDirectory
from pushlane.router.ports import RouterPorts
from pushlane.router.push import Pusher
from pushlane.router.quarantine import Quarantine
from pushlane.router.remembered import RememberedPools
from pushlane.router.tenants import TenantDirectory
from pushlane.router.turn import TurnPorts
from pushlane.state.items import text

if TYPE_CHECKING:
    from boto3.session import Session

OPERATOR: Final = Principal(principal_id="console", role=Role.OPERATOR)
_TICKETS: Final = "issueStreamTicket"
_REDRIVE, _DISCARD = "redriveDeadLetter", "discardDeadLetter"


class Orders(Protocol):
    """How a dead task is ordered back, or given up: the client's commands."""

    def redrive(self, tenant_id: str, task_id: str, *, epoch: int | None = None) -> object: ...

    def discard(
        self, tenant_id: str, task_id: str, *, epoch: int | None = None, reason: str | None = None
    ) -> object: ...


class LocalConsole:
    """The application, and the key that opens it: made for this process alone, and never stored."""

    def __init__(self, session: "Session", installation: Installation, client: Orders) -> None:
        self.key: Final = secrets.token_urlsafe(32)
        ring = ring_of(secrets.token_bytes(32))  # for tickets, which nobody else has to understand
        router = _router_ports(session, installation, lambda: ring)
        known = CredentialPorts(
            store=router.turn.store, clock=router.turn.clock, keyring=lambda: ring, fetch=_no_issuers
        )
        self._callers = Callers(Credentials(known))
        s3 = session.client("s3")
        ports = ApiPorts(
            router=router,
            identify=self._identify,
            new_id=lambda: uuid.uuid4().hex,
            sleep=time.sleep,
            listing=DynamoTaskListing(session.client("dynamodb"), installation.tasks_table),
            link=lambda key, seconds: link_to(s3, installation.claims_bucket, key, seconds),
        )
        self._api = Api(ports, [*readable(), *orders(client)])

    def answer(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one HTTP event (payload format 2.0)."""
        return self._api.handle(event)

    def address(self, url: str) -> str:
        """Where a browser opens it. The key is in the fragment, which no browser sends to anybody."""
        return f"{url}/console#key={quote(self.key)}"

    def _identify(self, event: Mapping[str, Any]) -> Principal | None:
        headers, _query = shown(event)
        if hmac.compare_digest(headers.get("authorization", "").encode(), f"Bearer {self.key}".encode()):
            return OPERATOR
        return self._callers.identify(event)


def readable() -> list[Operation]:
    """What only reads, for whoever may."""
    read = (one for one in OPERATIONS if one.method == "GET" or one.operation_id == _TICKETS)
    return [one for one in read if one.public or Role.OPERATOR in one.roles]


def orders(client: Orders) -> list[Operation]:
    """The same operations on dead letters, by command: what comes of it is seen a moment later."""

    def bring_back(ports: ApiPorts, request: Request) -> Response:
        tenant_id, task_id = text(owned_task(ports, request), "tenant_id"), request.path["task_id"]
        client.redrive(tenant_id, task_id, epoch=request.body.epoch)
        return Response(status=202, body=Risen(task_id=task_id, status=Status.DEAD_LETTERED))

    def give_up(ports: ApiPorts, request: Request) -> Response:
        tenant_id, task_id = text(owned_task(ports, request), "tenant_id"), request.path["task_id"]
        client.discard(tenant_id, task_id, epoch=request.body.epoch, reason=request.body.reason)
        return Response(body=Risen(task_id=task_id, status=Status.DEAD_LETTERED))

    run = {_REDRIVE: bring_back, _DISCARD: give_up}
    return [msgspec.structs.replace(one, run=run[one.operation_id]) for one in OPERATIONS if one.operation_id in run]


def _router_ports(session: "Session", installation: Installation, keyring: Callable[[], KeyRing]) -> RouterPorts:
    """What the operations read through. Nothing here runs a turn, so what only turns need is as good as absent."""
    dynamodb, clock = session.client("dynamodb"), StoreClock()
    clock.listen(dynamodb)
    store, sender = DynamoItemStore(dynamodb, installation.tables), SqsSender(session.client("sqs"))
    turn = TurnPorts(
        store=store,
        sender=sender,
        blobs=S3TurnBlobStore(lambda: session.client("s3"), installation.claims_bucket),
        clock=clock,
        wakeups_queue_url=installation.wakeups_queue_url,
        new_token=lambda: uuid.uuid4().hex,
        back_off=lambda _replan: None,
        remembered=RememberedPools(),
        policies=PolicyDirectory(store, clock, _silent),
    )
    return RouterPorts(
        turn=turn,
        pusher=Pusher(store, Endpoints(sender), turn.blobs, keyring),
        tenants=TenantDirectory(store, clock),
        quarantine=Quarantine(store, sender, clock, installation.quarantine_queue_url),
        held=HeldTenants(),
        keyring=keyring,
        accept_unsigned_tenant=False,
        results_queue_arn="",
        wakeups_queue_arn="",
        held_queue_arn="",
        held_queue_url=installation.held_queue_url,
        log=_silent,
    )


def _no_issuers(url: str) -> bytes:
    raise KeysUnavailable(f"{url}: the local console asks no issuer for its keys")


def _silent(_event: str, **_fields: Any) -> None:
    """A person reads what the command prints, and the page what the application answers."""
