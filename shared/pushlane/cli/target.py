"""Which installation a verb talks to, and how it gets there."""

import os
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pushlane.aws.dynamodb import DynamoItemStore
from pushlane.aws.queues import SqsSender
from pushlane.cli.options import StageName
from pushlane.cli.place import OUTPUTS_FILE, NoProject, deploy_folder, project_root, state_folder
from pushlane.client import AwsClients, Client, Installation, NotInstalled
from pushlane.client.installation import STACK_VARIABLE
from pushlane.client.overview import Overview
from pushlane.model.envelope_proof import EnvelopeKey
from pushlane.model.keyring import KeyRing, ring_of
from pushlane.state.pools import wake_after_policy

if TYPE_CHECKING:
    from boto3.session import Session

    from pushlane.ports import TaskListing

# What verbs send through the doors is signed with this key, where doors take nothing unsigned.
ENVELOPE_KEY: Final = "PUSHLANE_ENVELOPE_KEY"


class Target:
    """An installation with clients for it."""

    def __init__(self, session: "Session", installation: Installation) -> None:
        self.session = session
        self.installation = installation

    @cached_property
    def aws(self) -> AwsClients:
        return AwsClients.of(self.session)

    @cached_property
    def store(self) -> DynamoItemStore:
        return DynamoItemStore(self.aws.dynamodb, self.installation.tables)

    @cached_property
    def client(self) -> Client:
        text = os.environ.get(ENVELOPE_KEY)
        return Client(self.installation, self.aws, envelope_key=EnvelopeKey.parse(text) if text else None)

    @cached_property
    def overview(self) -> Overview:
        return Overview(self.installation, self.store, self.aws.sqs)

    @cached_property
    def listing(self) -> "TaskListing":
        from pushlane.aws.listing import DynamoTaskListing

        return DynamoTaskListing(self.aws.dynamodb, self.installation.tasks_table)

    def keyring(self) -> KeyRing:
        """The installation's signing keys; raises `NotInstalled` when its stacks do not say where they are."""
        from pushlane.aws.secrets import signing_secret

        found = self.installation.signing_secret_arn
        if found is None:
            raise NotInstalled("the stacks do not say where the signing secret is: deploy all stacks again")
        return ring_of(signing_secret(self.session.client("secretsmanager"), found))

    def wake_after_policy(self) -> None:
        """Have every pool go by the policy that was just set."""
        sender = SqsSender(self.aws.sqs, fair_queues=False)
        wake_after_policy(self.store, sender, self.installation.wakeups_queue_url, now_ms())


def connect(stage: StageName, profile: str | None, endpoint: str | None) -> Target:
    """The installation that the options name: an endpoint before all; else the local one that `pushlane up` started, or
    a stage on AWS, found by the outputs of its stacks. Raises `NotInstalled`.
    """
    if endpoint is not None:
        from pushlane.local.sessions import session_for

        return _by_stacks(session_for(endpoint), stage)
    if stage is StageName.LOCAL:
        return _started_locally(Path.cwd())
    import boto3

    return _by_stacks(boto3.session.Session(profile_name=profile), stage)


def now_ms() -> int:
    """This machine's clock in Unix milliseconds."""
    return time.time_ns() // 1_000_000


def _by_stacks(session: "Session", stage: StageName) -> Target:
    cloudformation, stack = session.client("cloudformation"), os.environ.get(STACK_VARIABLE)
    return Target(session, Installation.from_cloudformation(stage.value, cloudformation, stack))


def _started_locally(folder: Path) -> Target:
    from pushlane.local.launcher import status
    from pushlane.local.sessions import session_for

    try:
        root = project_root(folder)
    except NoProject as error:
        raise NotInstalled(f"{error}, or name a stage on AWS, as --stage dev") from error
    running = status(state_folder(root))
    if running is None:
        raise NotInstalled("no local Pushlane is running; start one with `pushlane up`, or name a stage: --stage dev")
    installation = Installation.from_outputs_file(StageName.LOCAL.value, deploy_folder(root) / OUTPUTS_FILE)
    return Target(session_for(running.endpoint_url, running.region), installation)
