"""The authorizer, wired for Lambda; and the credentials for every function that has to know callers itself."""

from functools import cache

from pushlane.api.authorizer import Authorizer
from pushlane.api.credentials import CredentialPorts, Credentials
from pushlane.aws.clock import StoreClock
from pushlane.aws.dynamodb import DynamoItemStore
from pushlane.aws.jwks import JwksReader
from pushlane.ports import Clock, ItemStore, Table
from pushlane.settings.edge import AuthorizerSettings
from pushlane.settings.environment import load
from pushlane.wiring import clients
from pushlane.wiring.keys import keyring_reader
from pushlane.wiring.logs import structured_log
from pushlane.wiring.process import environ


@cache
def build_authorizer() -> Authorizer:
    """The authorizer of this process, from its environment."""
    settings = load(AuthorizerSettings, environ())
    dynamodb, clock = clients.dynamodb(), StoreClock()
    clock.listen(dynamodb)
    store = DynamoItemStore(dynamodb, {Table.CONFIG: settings.config_table}, backoff=clients.ADAPTER_BACKOFF)
    return Authorizer(
        credentials(store, clock, settings.signing_secret_arn, settings.stage), structured_log("authorizer")
    )


def credentials(store: ItemStore, clock: Clock, signing_secret_arn: str, stage: str) -> Credentials:
    """What knows callers, over a store that has the config table."""
    return Credentials(
        CredentialPorts(
            store=store,
            clock=clock,
            keyring=keyring_reader(signing_secret_arn),
            fetch=JwksReader(allow_local=stage == "local"),
        )
    )
