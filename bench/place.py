"""Where the measurements on a backend take place: Pushlane deployed on an embedded AWS of its own."""

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from pushlane.aws.dynamodb import DynamoItemStore
from pushlane.client import AwsClients, Client, Installation
from pushlane.client.tenants import add_tenant
from pushlane.local.context import LOCAL_CONTEXT
from pushlane.local.deploy import CdkApp, deploy
from pushlane.local.endpoint import LocalAws
from pushlane.local.launcher import embedded_aws
from pushlane.local.sessions import session_for
from pushlane.model.access_key import AccessKey, KeyKind, api_key_text, secret_digest
from pushlane.model.principal import Role
from pushlane.model.task import DEFAULT_POOL
from pushlane.state import keys
from pushlane.state.access_keys import add_key
from pushlane.state.items import number

if TYPE_CHECKING:
    from boto3.session import Session

ROOT: Final = Path(__file__).resolve().parents[1]
BUILD: Final = ROOT / "build" / "bench"
AGENT: Final = "chaos"
TENANT: Final = "atlas"
_STAGE: Final = "local"


class Place(Struct, frozen=True):
    """A deployed Pushlane, with its agents' pool to itself. `endpoint`: the AWS that it is deployed on."""

    endpoint: LocalAws
    session: "Session"
    aws: AwsClients
    installation: Installation
    client: Client
    store: DynamoItemStore

    def slots(self) -> int:
        """Of the agent whose tasks are measured."""
        key = keys.agent_key(DEFAULT_POOL, AGENT)
        return number(self.store.get([key])[key].attributes, "slots")

    def mappings(self) -> int:
        """Queues that the platform polls for Pushlane's functions."""
        pages = self.session.client("lambda").get_paginator("list_event_source_mappings").paginate()
        return sum(":sqs:" in one["EventSourceArn"] for page in pages for one in page["EventSourceMappings"])

    def api_key(self) -> str:
        """A new key of a producer of `TENANT`."""
        key_id, secret = secrets.token_hex(8), secrets.token_hex(32)
        key = AccessKey(
            key_id=key_id,
            kind=KeyKind.API,
            role=Role.PRODUCER,
            tenant_id=TENANT,
            secret_digest=secret_digest(secret),
            created_at_ms=_now_ms(),
        )
        add_key(self.store, key)
        return api_key_text(key_id, secret)


@contextmanager
def deployed(tenants: Sequence[str]) -> Iterator[Place]:
    """Pushlane without its API (and so without event log), for the length of a block; `tenants` are registered."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with embedded_aws(log_path=BUILD / "ministack.log") as aws:
        place = _deploy(aws, api=False)
        for tenant_id in (TENANT, *tenants):
            add_tenant(place.store, tenant_id, _now_ms())
        yield place


def with_api(place: Place) -> Place:
    """The same Pushlane, deployed over with the API."""
    return _deploy(place.endpoint, api=True)


def _deploy(aws: LocalAws, *, api: bool) -> Place:
    context = {**LOCAL_CONTEXT, **({"api": True} if api else {})}
    deployment = deploy(CdkApp(ROOT, context), aws, BUILD / "deploy", progress=lambda _line: None)
    installation = Installation.from_stacks(_STAGE, deployment.outputs)
    session = session_for(aws.endpoint_url)
    clients = AwsClients.of(session)
    store = DynamoItemStore(clients.dynamodb, installation.tables)
    return Place(aws, session, clients, installation, Client(installation, clients), store)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
