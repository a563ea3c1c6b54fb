"""One import of the CDK and one synthesis a stage for all tests: each costs seconds."""

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "1")
# The CDK's built-in validation takes longer than the synthesis; `test_templates.py` validates with cfn-lint instead.
os.environ["CDK_VALIDATION"] = "false"

from tests.infrastructure.templates import Templates

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def context() -> dict[str, Any]:
    """The context of `cdk.json`, without third-party code in bundles."""
    committed: dict[str, Any] = json.loads((REPOSITORY / "cdk.json").read_text())["context"]
    return {**committed, "vendor": False}


Bare = Callable[[], AbstractContextManager[None]]


@pytest.fixture(scope="session")
def bare() -> Bare:
    """A context in which there are no AWS credentials and no connection can be opened."""

    @contextmanager
    def within() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("AWS_")]:
                patch.delenv(name)
            patch.setattr(socket.socket, "connect", _refuse)
            patch.chdir(REPOSITORY)
            yield

    return within


def _refuse(*_arguments: object) -> None:
    raise AssertionError("synthesis must not use the network")


def _synthesise(context: dict[str, Any], folder: Path, *, audit: bool = False) -> Templates:
    import aws_cdk as cdk
    from cdk_nag import AwsSolutionsChecks

    from stacks.composition import compose

    app = cdk.App(context={**context, "build_dir": str(folder / "build")}, outdir=str(folder / "out"))
    if audit:
        cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    compose(app)
    try:
        app.synth()
    except RuntimeError as error:  # findings make synthesis fail after everything is written; test_audit reads them
        if not audit or "ValidationFailed" not in str(error):
            raise
    return Templates.read(folder / "out")


@pytest.fixture(scope="session")
def local(context: dict[str, Any], bare: Bare, tmp_path_factory: pytest.TempPathFactory) -> Templates:
    with bare():
        return _synthesise({**context, "stage": "local"}, tmp_path_factory.mktemp("local"))


@pytest.fixture(scope="session")
def prod(context: dict[str, Any], bare: Bare, tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """The templates of production, with the findings of cdk-nag beside them."""
    with bare():
        return _synthesise({**context, "stage": "prod"}, tmp_path_factory.mktemp("prod"), audit=True)
