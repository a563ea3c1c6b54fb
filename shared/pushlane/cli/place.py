"""Where the command works: the folder of the CDK app, and what `pushlane up` keeps there."""

from pathlib import Path
from typing import Final

from pushlane.model.errors import PushlaneError

STATE_FOLDER: Final = ".pushlane"
DEPLOY_FOLDER: Final = "deploy"
OUTPUTS_FILE: Final = "outputs.json"


class NoProject(PushlaneError):
    """There is no CDK app here to deploy."""

    def __init__(self, start: Path) -> None:
        super().__init__(f"no app.py with a cdk.json in {start} or above it; run this inside a checkout of Pushlane")


def project_root(start: Path) -> Path:
    """The nearest folder from `start` upward that has the CDK app; raises `NoProject`."""
    for folder in (start, *start.parents):
        if (folder / "app.py").is_file() and (folder / "cdk.json").is_file():
            return folder
    raise NoProject(start)


def state_folder(root: Path) -> Path:
    """What the local installation leaves on disk while it runs."""
    return root / STATE_FOLDER


def deploy_folder(root: Path) -> Path:
    """Assembly, outputs and logs of the local deployment."""
    return state_folder(root) / DEPLOY_FOLDER
