"""The key that signs reservation tokens and facts."""

from collections.abc import Callable
from functools import cache

from pushlane.aws.secrets import signing_key
from pushlane.wiring import clients


def key_reader(secret_arn: str) -> Callable[[], bytes]:
    """The signing key, read at its first use and kept."""

    @cache
    def read() -> bytes:
        return signing_key(clients.secretsmanager(), secret_arn)

    return read
