"""Each long test has a Pushlane of its own, and it is gone before the next one measures anything.

One after the other: two emulators on two cores take each other's time, and then everything takes thrice as long.
"""

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Deployed, deployment_of


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """Of one file."""
    with deployment_of(tmp_path_factory.mktemp("deploy")) as ready:
        yield ready
