"""An API over a dispatcher with two tenants and one agent for `echo`, which runs nothing by itself."""

import pytest

from pushlane.testing import InMemoryDispatcher
from pushlane.testing.api import InMemoryApi


@pytest.fixture
def dispatcher() -> InMemoryDispatcher:
    made = InMemoryDispatcher(tenants=("atlas", "birch"))
    made.register(None, agent_id="one", slots=1, capabilities=("echo",))
    return made


@pytest.fixture
def api(dispatcher: InMemoryDispatcher) -> InMemoryApi:
    return InMemoryApi(dispatcher)
