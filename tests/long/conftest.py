"""Each long test has a Pushlane of its own, and it is gone before the next one of its file begins.

Those in `measured/` measure, and have the machine to themselves; the others run two at a time.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.conftest import Deployed, deployment_of

HERE: Final = Path(__file__).parent
# They use this checkout's `.pushlane` folder and the default port.
_OF_THE_CHECKOUT: Final = frozenset({"test_readme", "test_simulation", "test_first_agent_guide"})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of one file, and those that share the checkout, run one after the other."""
    for item in items:
        if item.path.parent == HERE:
            name = item.path.stem
            item.add_marker(pytest.mark.xdist_group("checkout" if name in _OF_THE_CHECKOUT else name))


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """Of one file."""
    with deployment_of(tmp_path_factory.mktemp("deploy")) as ready:
        yield ready
