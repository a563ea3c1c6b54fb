"""One embedded AWS for the tests of the heartbeat."""

from collections.abc import Iterator

import pytest

from pushlane.local.launcher import embedded_aws
from tests.conformance.backends import Backend, ministack_backend


@pytest.fixture(scope="session")
def aws() -> Iterator[Backend]:
    with embedded_aws() as started, ministack_backend(started) as backend:
        yield backend
