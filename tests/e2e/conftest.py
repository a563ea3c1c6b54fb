"""One deployed Pushlane for the whole session: the one at `AWS_ENDPOINT_URL`, or an embedded one deployed here.

With `AWS_ENDPOINT_URL` set (LocalStack, a running `make up`) its stacks are found through CloudFormation.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import msgspec
import pytest

from pushlane.aws.dynamodb import DynamoItemStore
from pushlane.client import AwsClients, Client, Installation
from pushlane.client.tenants import add_tenant
from pushlane.local.deploy import CdkApp, ContextValue, deploy
from pushlane.local.launcher import embedded_aws
from pushlane.local.sessions import session_for
from pushlane.ports import Item, Table
from pushlane.state import keys
from pushlane.state.items import number
from pushlane.state.policies import PolicyChange
from pushlane.state.policies import set_policy as store_policy

ROOT = Path(__file__).resolve().parents[2]
STAGE = os.environ.get("PUSHLANE_STAGE", "local")
TENANTS = ("atlas", "birch", "noisy")

T = TypeVar("T")


@dataclass
class Deployed:
    """What a test needs: the producer's client, the installation's names, clients and state."""

    endpoint_url: str
    session: Any
    aws: AwsClients
    installation: Installation
    client: Client
    store: DynamoItemStore
    emulator_pid: int | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def queue(self) -> str:
        """A new empty queue."""
        url: str = self.aws.sqs.create_queue(QueueName=f"e2e-{uuid4().hex[:12]}")["QueueUrl"]
        return url

    def arn(self, queue_url: str) -> str:
        attributes = self.aws.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
        return attributes["Attributes"]["QueueArn"]

    def receive(self, queue_url: str, wanted: Callable[[dict[str, Any]], bool], timeout_seconds: float = 20) -> Any:
        """The first message whose JSON body is wanted; other messages are taken out and dropped."""

        def look() -> Any:
            page = self.aws.sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            for message in page.get("Messages", []):
                self.aws.sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
                body = msgspec.json.decode(message["Body"])
                if wanted(body):
                    return body
            return None

        return eventually(look, f"a wanted message on {queue_url}", timeout_seconds)

    def agents(self, pool: str = "default") -> list[Item]:
        items = self.store.query(Table.SCHEDULER, keys.pool_pk(pool), limit=1_000, start=keys.AGENT_PREFIX)
        return [item for item in items if item.key.sk.startswith(keys.AGENT_PREFIX)]

    def live_attempts(self, pool: str = "default") -> list[Item]:
        buckets = [keys.attempt_pk(pool, bucket) for bucket in range(keys.ATTEMPT_BUCKETS)]
        return [item for pk in buckets for item in self.store.query(Table.ATTEMPTS, pk, limit=10_000)]

    def nothing_is_held(self) -> bool:
        """No live attempt, and no agent has a used slot."""
        return not self.live_attempts() and all(number(item.attributes, "used") == 0 for item in self.agents())


def set_policy(deployed: Deployed, document: dict[str, Any]) -> None:
    """Make the document the current policy; a router goes by it within a second or two."""
    change = PolicyChange(document=msgspec.json.encode(document), change_id=uuid4().hex, changed_by="a test")
    store_policy(deployed.store, change, time.time_ns() // 1_000_000)


def eventually(look: Callable[[], T | None], what: str, timeout_seconds: float = 20) -> T:
    """What `look` finds, once it finds something; fails saying `what` was not there in time."""
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {timeout_seconds} s: {what}")


@pytest.fixture(scope="session")
def deployed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """One Pushlane for all the tests here: an embedded one has the API too, one elsewhere may be without."""
    if os.environ.get("AWS_ENDPOINT_URL"):
        with deployment_of(tmp_path_factory.mktemp("deploy")) as found:
            yield found
    else:
        yield request.getfixturevalue("api").deployed


@contextmanager
def deployment_of(work_dir: Path, context: Mapping[str, ContextValue] | None = None) -> Iterator[Deployed]:
    """The Pushlane at `AWS_ENDPOINT_URL`, or one that stands for as long as the block."""
    endpoint_url = os.environ.get("AWS_ENDPOINT_URL")
    if endpoint_url:
        session = session_for(endpoint_url)
        installation = Installation.from_cloudformation(STAGE, session.client("cloudformation"))
        yield ready(endpoint_url, session, installation)
        return
    with embedded_aws(log_path=work_dir / "ministack.log") as aws:
        deployment = deploy(CdkApp(ROOT, context or {}), aws, work_dir)
        installation = Installation.from_stacks(STAGE, deployment.outputs)
        found = ready(aws.endpoint_url, session_for(aws.endpoint_url), installation)
        found.emulator_pid = aws.pid
        found.seconds = dict(deployment.seconds)
        yield found


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The deployment that has the API too (`tests.e2e.api_deployment`)."""
    from tests.e2e.api_deployment import deployed_api

    with deployed_api(tmp_path_factory.mktemp("deploy-api")) as found:
        yield found


def ready(endpoint_url: str, session: Any, installation: Installation) -> Deployed:
    """What tests need of an installation, with some tenants registered."""
    aws = AwsClients.of(session)
    store = DynamoItemStore(aws.dynamodb, installation.tables)
    for tenant_id in TENANTS:
        add_tenant(store, tenant_id, time.time_ns() // 1_000_000)
    return Deployed(endpoint_url, session, aws, installation, Client(installation, aws), store)
