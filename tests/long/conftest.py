"""Each long test file has a Pushlane of its own, and it is gone when the file is through.

What measures runs alone (`-m alone`): several emulators on two cores take each other's time. Of the others a few files
run at once.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Deployed, deployment_of

_HERE = Path(__file__).parent
# What takes longest, so that nothing long is begun last.
_FIRST = ("test_readme", "test_chaos", "test_simulation", "test_live_views", "test_upgrade", "test_migration")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of one file stay together, and those of this folder come first."""
    ours = [item for item in items if item.path.parent == _HERE]
    for item in ours:
        item.add_marker(pytest.mark.xdist_group(item.path.stem))
    others = [item for item in items if item.path.parent != _HERE]
    items[:] = [*sorted(ours, key=_place), *others]


def _place(item: pytest.Item) -> int:
    return _FIRST.index(item.path.stem) if item.path.stem in _FIRST else len(_FIRST)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """Of one file."""
    with deployment_of(tmp_path_factory.mktemp("deploy")) as ready:
        yield ready
