"""The HTTP API from the command line: where it is, and the key that speaks for whom."""

import os
from typing import TYPE_CHECKING, Final

from pushlane.client.errors import NotInstalled
from pushlane.model.errors import PushlaneError

if TYPE_CHECKING:
    from pushlane.client.api import Client
    from pushlane.client.installation import Installation

API_KEY: Final = "PUSHLANE_API_KEY"


class NoKey(PushlaneError):
    """Nothing says who calls the API."""

    def __init__(self) -> None:
        super().__init__(f"set {API_KEY} to an API key or a token; `pushlane keys create --tenant NAME` makes a key")


def api_client(url: str, *, tenant: str | None = None, api_key: str | None = None) -> "Client":
    """A client for the API at `url`. `tenant`: whom an operator of the installation speaks for. Raises `NoKey`."""
    key = api_key or os.environ.get(API_KEY)
    if not key:
        raise NoKey
    return _connected(url, key, tenant)


def http_url(installation: "Installation") -> str:
    """Where the installation's API answers; raises `NotInstalled` when it has none."""
    if installation.http_url is None:
        raise NotInstalled(
            f"stage {installation.stage} has no HTTP API: deploy it with `pushlane up --api`, or `-c api=true` on AWS"
        )
    return installation.http_url


def _connected(url: str, key: str, tenant: str | None) -> "Client":
    from pushlane.client.api import Client

    return Client(url, key, tenant=tenant)
