"""Runs the commands of README.md as they stand there, on this checkout.

The blocks use the default port and the checkout's own `.pushlane` folder: a `make up` that is running must go first.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushlane.local.launcher import embedded_aws
from tests.readme import ROOT, blocks

pytestmark = pytest.mark.long


def shell(script: str, timeout_seconds: float, **environment: str) -> str:
    """Run a block as a user's shell would; fails with the end of what it printed."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_", "VIRTUAL_"))}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        env={**inherited, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


def block_with(command: str) -> str:
    [found] = [body for body in blocks("") if any(line.startswith(command) for line in body.splitlines())]
    return found


@pytest.fixture
def down_at_the_end() -> Iterator[None]:
    yield
    shell("make down", 60)


def test_make_demo() -> None:
    assert block_with("make demo") == "make demo\n"
    shell("make demo", 400)
    report = json.loads((ROOT / "build" / "demo" / "report.json").read_text())
    assert report["lost"] == report["live_reservations"] == report["dlq_depth"] == report["duplicate_effects"] == 0
    assert report["submitted"] >= 200
    assert report["succeeded"] >= 0.95 * report["submitted"]
    assert report["failed"] == len(report["failed_on_purpose"])
    assert all(report["doors"][door] > 0 for door in ("eventbridge", "sns", "sqs", "kinesis"))
    assert len((ROOT / "build" / "demo" / "digest.md").read_text()) > 5_000


def test_run_it_locally(down_at_the_end: None) -> None:
    """make up, pushlane tenants add, submit, agents, status, dlq list, policy get --effective,
    python examples/submit_a_task.py, make down.
    """
    said = shell(block_with("make up"), 400)
    assert "extract" in said
    assert said.rstrip().splitlines()[-2:-1] == ["Hello"] or "\nHello\n" in said


def test_whose_turn_it_is() -> None:
    """pushlane policy validate examples/policy.json; make sim has a test of its own."""
    [command, simulation] = block_with(".venv/bin/pushlane policy validate").splitlines()
    assert simulation == "make sim"
    shell(command, 60)


def test_write_an_agent() -> None:
    """pushlane init word-counter; python -m pytest build/word-counter; pushlane agent run examples.greeter."""
    shutil.rmtree(ROOT / "build" / "word-counter", ignore_errors=True)  # nothing is overwritten
    said = shell(block_with(".venv/bin/pushlane init"), 120)
    assert "6 passed" in said
    assert '"greeting": "Hello, Ada!"' in said


def test_make_help_and_make_setup() -> None:
    assert "demo" in shell("make help", 30)
    shell("make setup", 300)


def test_deploy_it(tmp_path: Path) -> None:
    """source .venv/bin/activate, npx cdk synth for AWS; npx cdk bootstrap, npx cdk deploy --all on the embedded one."""
    lines = block_with("npx cdk deploy").splitlines()
    assert lines[0] == "source .venv/bin/activate"
    activate = lines[0] + "; "
    nowhere = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": "eu-west-1"}
    shell(activate + lines[1] + f" --output {tmp_path / 'dev'}", 400, **nowhere)
    assert (tmp_path / "dev" / "Pushlane-Dev-Routing.template.json").exists()
    with embedded_aws() as aws:
        shell(activate + lines[2], 120, **aws.environment)
        local = (
            lines[3].replace("stage=dev", "stage=local") + f" --require-approval never --output {tmp_path / 'local'}"
        )
        shell(activate + local, 400, **aws.environment)
