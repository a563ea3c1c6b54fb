"""The client over HTTP imports no AWS library, and `pushlane.client` imports nothing until it is used."""

import subprocess
import sys

import pytest

HEAVY = ("boto3", "botocore", "aws_lambda_powertools")


@pytest.mark.parametrize(
    ("line", "beside"),
    [
        ("import pushlane", ("httpx", "websockets", "msgspec")),
        ("import pushlane.client", ("httpx", "websockets")),
        ("from pushlane.client.api import Client, AsyncClient", ("websockets", "pushlane.router")),
        ("from pushlane.client import Workflow, StillRunning", ("httpx", "websockets")),
    ],
)
def test_imports_are_light(line: str, beside: tuple[str, ...]) -> None:
    script = f"import sys\n{line}\nprint(' '.join(sorted(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert set(loaded).isdisjoint({*HEAVY, *beside})


def test_every_name_of_the_package_is_there() -> None:
    import pushlane.client as package

    for name in package.__all__:
        assert getattr(package, name).__name__ == name
    assert sorted(package.__all__) == sorted(package._PLACES)
    with pytest.raises(AttributeError):
        package.nothing_of_this_name  # noqa: B018  # the look-up is what is tested
