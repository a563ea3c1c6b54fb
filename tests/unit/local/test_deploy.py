"""The parts of a deployment that need no deployment. The whole of it is what the end-to-end tests start with."""

import json
import sys
import time
from pathlib import Path

import pytest

from pushlane.local.cdk_command import Step, cdk_command, cdk_environment, run_step
from pushlane.local.context import LOCAL_CONTEXT
from pushlane.local.deploy import ASSETS_BUCKET, CdkApp, Deployment, configured_context, read_outputs, synthesise
from pushlane.local.endpoint import LocalAws
from pushlane.local.errors import DeployFailed, LocalAwsError

AWS = LocalAws("http://127.0.0.1:14999", "us-east-1", pid=1, log_path=Path("emulator.log"))


def step(tmp_path: Path, program: str, timeout_seconds: float = 30) -> Step:
    command = [sys.executable, "-c", program]
    return Step("synth", command, tmp_path, {}, tmp_path / "logs" / "synth.log", timeout_seconds)


def test_a_failed_step_shows_its_last_words_and_both_logs(tmp_path: Path) -> None:
    with pytest.raises(DeployFailed) as caught:
        run_step(step(tmp_path, "print('stack Routing: no such table'); raise SystemExit(3)"), AWS)
    message = str(caught.value)
    assert caught.value.phase == "synth"
    for part in ("failed with status 3", "no such table", "synth.log", "emulator.log"):
        assert part in message


def test_a_step_that_hangs_ends_with_its_children(tmp_path: Path) -> None:
    program = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(2); open(\"late\", \"w\")'])\n"
        "time.sleep(60)"
    )
    with pytest.raises(DeployFailed, match="did not end within 1 s"):
        run_step(step(tmp_path, program, timeout_seconds=1), AWS)
    time.sleep(2)
    assert not (tmp_path / "late").exists()


def test_the_user_s_own_accounts_are_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "secret")
    made = cdk_environment(AWS)
    assert "AWS_PROFILE" not in made
    assert "AWS_SESSION_TOKEN" not in made
    assert made["AWS_ENDPOINT_URL"] == made["AWS_ENDPOINT_URL_S3"] == AWS.endpoint_url
    assert made["CDK_DEFAULT_ACCOUNT"] == "000000000000"


def test_the_app_gets_configured_context_and_then_its_own(tmp_path: Path) -> None:
    (tmp_path / "cdk.json").write_text(json.dumps({"app": "x", "context": {"stage": "prod", "flag": True}}))
    program = (
        "import os, pathlib\n"
        "pathlib.Path(os.environ['CDK_OUTDIR'], 'context.json').write_text(os.environ['CDK_CONTEXT_JSON'])\n"
    )
    (tmp_path / "app.py").write_text(program)
    assembly = synthesise(CdkApp(tmp_path, {"stage": "local"}), AWS, tmp_path / "work")
    context = json.loads((assembly / "context.json").read_text())
    assert context == {"stage": "local", "flag": True, "assets_bucket": ASSETS_BUCKET}


def test_a_local_deployment_is_of_stage_local_whatever_the_app_says() -> None:
    assert LOCAL_CONTEXT["stage"] == "local"


def test_no_configuration_and_no_outputs_are_empty(tmp_path: Path) -> None:
    assert configured_context(tmp_path) == {}
    assert read_outputs(tmp_path) == {}


def command_line_in(folder: Path) -> Path:
    script = folder / "node_modules" / "aws-cdk" / "bin" / "cdk"
    script.parent.mkdir(parents=True)
    script.touch()
    return script


def test_without_set_up_the_error_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "checkout" / ".venv"))
    with pytest.raises(LocalAwsError, match=r"npm install aws-cdk@2.*make setup"):
        cdk_command(tmp_path / "project", "deploy")


def test_a_project_s_own_command_line_goes_before_the_checkout_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "checkout" / ".venv"))
    project = tmp_path / "work" / "project"
    beside_set_up = command_line_in(tmp_path / "checkout")
    assert cdk_command(project, "deploy")[1] == str(beside_set_up)
    above = command_line_in(tmp_path / "work")
    assert cdk_command(project, "deploy")[1] == str(above)
    own = command_line_in(project)
    assert cdk_command(project, "deploy")[1] == str(own)


def test_an_output_is_found_by_name_in_any_stack() -> None:
    made = Deployment({"State": {"Tasks": "t"}, "Routing": {"Queue": "q"}}, {})
    assert made.output("Queue") == "q"
    with pytest.raises(KeyError, match=r"Routing\.Queue, State\.Tasks"):
        made.output("Nothing")
