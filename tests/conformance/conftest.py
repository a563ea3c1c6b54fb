"""The backends, and the ports on them. MiniStack is started once, and only when a test asks for it."""

from collections.abc import Callable, Iterator

import pytest

from pushlane.aws.dynamodb import DynamoItemStore
from pushlane.inmemory import InMemoryItemStore
from pushlane.local.endpoint import LocalAws
from pushlane.local.launcher import embedded_aws
from pushlane.ports import ItemStore
from tests.conformance.backends import (
    BACKENDS,
    GAPS,
    MEMORY,
    MOTO,
    SOMETIMES,
    Backend,
    Gap,
    create_tables,
    ministack_backend,
    moto_backend,
)


@pytest.fixture(scope="session")
def ministack() -> Iterator[LocalAws]:
    with embedded_aws() as aws:
        yield aws


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Every backend in turn; a suite narrows it with `indirect` parameters."""
    if request.param == MEMORY:
        yield Backend(MEMORY)
    elif request.param == MOTO:
        with moto_backend() as moto:
            yield moto
    else:
        with ministack_backend(request.getfixturevalue("ministack")) as ministack:
            yield ministack


@pytest.fixture
def needs(request: pytest.FixtureRequest, backend: Backend) -> Callable[[Gap], None]:
    """Call it with what the test needs: where the backend is known to lack that, the test has to fail."""

    def expect_failure_without(gap: Gap) -> None:
        reason = GAPS.get((backend.name, gap))
        if reason is not None and gap in SOMETIMES:
            pytest.skip(reason)
        if reason is not None:
            request.applymarker(pytest.mark.xfail(reason=reason, strict=True))

    return expect_failure_without


@pytest.fixture
def store(backend: Backend) -> ItemStore:
    if backend.name == MEMORY:
        return InMemoryItemStore(backend.clock)
    client = backend.client("dynamodb")
    return DynamoItemStore(client, create_tables(client))
