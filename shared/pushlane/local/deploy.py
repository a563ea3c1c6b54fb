"""Deploy the CDK app to a local AWS: one synth, then every stack from the one assembly.

Assets go through a bucket that is made here, which saves the bootstrap stack: by the context flag `assets_bucket`, or
under the name that an app goes by which does not know the flag.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pushlane.local.assembly import cached_assembly
from pushlane.local.browsers import let_pages_call
from pushlane.local.cdk_command import Step, cdk_command, cdk_environment, run_step
from pushlane.local.endpoint import LOCAL_ACCOUNT_ID, LocalAws
from pushlane.local.sessions import session_for

if TYPE_CHECKING:
    from boto3.session import Session

STEP_TIMEOUT_SECONDS = 300.0
CONCURRENCY = 4
ASSETS_BUCKET = "pushlane-assets"
# The CDK's own names, unless an app chooses others.
_QUALIFIER = "hnb659fds"
_BOOTSTRAP_VERSION = "30"

Outputs = Mapping[str, Mapping[str, str]]
Progress = Callable[[str], None]
ContextValue = str | int | float | bool


@dataclass(frozen=True)
class CdkApp:
    """A CDK app: the folder with `app.py`, `cdk.json` and `node_modules`, and the context to synthesise it with."""

    root: Path
    context: Mapping[str, ContextValue] = field(default_factory=dict)


@dataclass(frozen=True)
class Deployment:
    """What a deployment gave: the outputs by stack and name, and how long each phase took."""

    outputs: Outputs
    seconds: Mapping[str, float]

    def output(self, name: str) -> str:
        """The one output of this name in any stack. Raises KeyError, listing the names that there are."""
        found = [values[name] for values in self.outputs.values() if name in values]
        if len(found) != 1:
            known = ", ".join(sorted(f"{stack}.{key}" for stack, values in self.outputs.items() for key in values))
            raise KeyError(f"{len(found)} stacks have an output {name}; there are: {known}")
        return found[0]


def deploy(app: CdkApp, aws: LocalAws, work_dir: Path, progress: Progress = print) -> Deployment:
    """Synthesise and deploy every stack. Assembly, outputs and logs go to `work_dir`.

    Deploying again changes what changed. Raises DeployFailed.
    """
    work_dir = work_dir.absolute()
    work_dir.mkdir(parents=True, exist_ok=True)
    session = session_for(aws.endpoint_url, aws.region)
    _take_assets(session)
    started = time.monotonic()
    assembly = synthesise(app, aws, work_dir)
    seconds = {"synth": time.monotonic() - started}
    progress(f"synthesised in {seconds['synth']:.1f} s")
    started = time.monotonic()
    deploy_assembly(app, aws, work_dir, assembly)
    let_pages_call(session)
    seconds["deploy"] = time.monotonic() - started
    outputs = read_outputs(work_dir)
    progress(f"deployed {len(outputs)} stacks in {seconds['deploy']:.1f} s")
    return Deployment(outputs=outputs, seconds=seconds)


def _take_assets(session: Session) -> None:
    """What of a bootstrap stack a deployment needs: buckets for its assets, and the word that there is one."""
    place = f"{LOCAL_ACCOUNT_ID}-{session.region_name}"
    for bucket in (ASSETS_BUCKET, f"cdk-{_QUALIFIER}-assets-{place}"):
        session.client("s3").create_bucket(Bucket=bucket)
    version = f"/cdk-bootstrap/{_QUALIFIER}/version"
    session.client("ssm").put_parameter(Name=version, Value=_BOOTSTRAP_VERSION, Type="String", Overwrite=True)


def synthesise(app: CdkApp, aws: LocalAws, work_dir: Path) -> Path:
    """The folder of the cloud assembly, synthesised unless nothing has changed since an earlier time.

    Runs the app itself, as the CDK command line does, and so saves starting it.
    """
    context = {**configured_context(app.root), "assets_bucket": ASSETS_BUCKET, **app.context}

    def run_app(folder: Path) -> None:
        environment = {
            **cdk_environment(aws),
            "CDK_OUTDIR": str(folder),
            "CDK_CONTEXT_JSON": json.dumps(context),
        }
        run_step(_step("synth", [sys.executable, "app.py"], app.root, environment, work_dir), aws)

    return cached_assembly(app.root, context, run_app)


def deploy_assembly(app: CdkApp, aws: LocalAws, work_dir: Path, assembly: Path) -> None:
    """Deploy every stack of the assembly, and write their outputs to `work_dir`."""
    outputs_file = work_dir / "outputs.json"
    outputs_file.unlink(missing_ok=True)
    flags = ["--require-approval", "never", "--concurrency", str(CONCURRENCY), "--progress", "events"]
    flags += ["--method", "direct"]  # a change set is for somebody to look at
    places = ["--app", str(assembly), "--outputs-file", str(outputs_file)]
    command = cdk_command(app.root, "deploy", "--all", *flags, *places)
    run_step(_step("deploy", command, work_dir, cdk_environment(aws), work_dir), aws)


def configured_context(root: Path) -> dict[str, object]:
    """The context that `cdk.json` sets; none when there is no such file."""
    file = root / "cdk.json"
    settings: dict[str, dict[str, object]] = json.loads(file.read_text()) if file.exists() else {}
    return settings.get("context", {})


def read_outputs(work_dir: Path) -> dict[str, dict[str, str]]:
    """The outputs of the last deployment by stack and name; empty when no stack has any."""
    file = work_dir / "outputs.json"
    return msgspec.json.decode(file.read_bytes(), type=dict[str, dict[str, str]]) if file.exists() else {}


def _step(phase: str, command: list[str], cwd: Path, environment: Mapping[str, str], work_dir: Path) -> Step:
    return Step(
        phase=phase,
        command=command,
        cwd=cwd,
        environment=environment,
        log_path=work_dir / f"{phase}.log",
        timeout_seconds=STEP_TIMEOUT_SECONDS,
    )
