"""The CDK command line as a child process, and the environment in which it and the CDK app run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pushlane.local.endpoint import LOCAL_ACCOUNT_ID, LocalAws
from pushlane.local.errors import DeployFailed, LocalAwsError
from pushlane.local.logs import tail
from pushlane.local.processes import end_group

_QUIET_FLAGS = ("--no-notices", "--no-version-reporting", "--ci")


@dataclass(frozen=True)
class Step:
    """One child process of a deployment. `cwd` must exist; all output goes to `log_path`."""

    phase: str
    command: Sequence[str]
    cwd: Path
    environment: Mapping[str, str]
    log_path: Path
    timeout_seconds: float


def cdk_command(root: Path, *arguments: str) -> list[str]:
    """The command that runs the CDK command line: the project's own, or the one that set-up put beside `.venv`.

    Raises LocalAwsError when neither is installed.
    """
    node = shutil.which("node", path=search_path())
    if node is None:
        raise LocalAwsError("Node.js is not installed. Install it, or in a checkout of Pushlane run: make setup")
    script = _cdk_script(root)
    if script is None:
        raise LocalAwsError(
            f"the CDK command line is not installed in {root}. Run: npm install aws-cdk@2 (in a checkout of Pushlane: "
            "make setup)"
        )
    return [node, str(script), *_QUIET_FLAGS, *arguments]


def _cdk_script(root: Path) -> Path | None:
    """Where npm looks for it, folder by folder upward; and beside `.venv`, for an app elsewhere that shares it."""
    folders = [root, *root.parents, Path(sys.prefix).parent]
    scripts = [folder / "node_modules" / "aws-cdk" / "bin" / "cdk" for folder in folders]
    return next((script for script in scripts if script.exists()), None)


def search_path() -> str:
    """PATH with the interpreter's own folder first: set-up puts Node.js there when the machine has none."""
    return os.pathsep.join([str(Path(sys.prefix) / "bin"), os.environ.get("PATH", os.defpath)])


def cdk_environment(aws: LocalAws) -> dict[str, str]:
    """The user's environment, less what points at a real AWS, plus what points at the local one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_"))}
    return {
        **kept,
        **aws.environment,
        "PATH": search_path(),
        "CDK_DEFAULT_ACCOUNT": LOCAL_ACCOUNT_ID,
        "CDK_DEFAULT_REGION": aws.region,
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        # It costs more than the rest of a synth; the template tests run it.
        "CDK_VALIDATION": "false",
    }


def run_step(step: Step, aws: LocalAws) -> None:
    """Run a step to its end. Raises DeployFailed with the end of its output; nothing of it survives an exception."""
    step.log_path.parent.mkdir(parents=True, exist_ok=True)
    with step.log_path.open("wb") as log:
        child = subprocess.Popen(
            step.command,
            cwd=step.cwd,
            env=dict(step.environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = child.wait(timeout=step.timeout_seconds)
        except subprocess.TimeoutExpired as error:
            raise _failed(step, f"did not end within {step.timeout_seconds:.0f} s", aws) from error
        finally:
            end_group(child.pid)
            child.wait()
    if status != 0:
        raise _failed(step, f"failed with status {status}", aws)


def _failed(step: Step, reason: str, aws: LocalAws) -> DeployFailed:
    return DeployFailed(step.phase, reason, step.log_path, tail(step.log_path), aws.log_path)
