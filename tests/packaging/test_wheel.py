"""The wheel, as a user installs it: alone it simulates, with its extra it synthesises a CDK app of one's own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.xdist_group("wheel"), pytest.mark.long]  # what these tests share is expensive

ROOT = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).with_name("uv")
TRACE = """\
arrival_s,tenant,tier,tokens_in,tokens_out,runtime_s,deadline_s,task_type,task_id,depends_on
0.0,atlas,normal,10,10,2.0,5.0,,,
0.1,birch,high,10,10,2.0,3.0,,,
"""


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    clean = {name: os.environ[name] for name in ("PATH", "HOME", "UV_CACHE_DIR", "TMPDIR") if name in os.environ}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**clean, **{n: v for n, v in os.environ.items() if n.startswith(("UV_", "PIP_", "SSL_"))}, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(UV, "build", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", folder, ROOT, cwd=ROOT)
    [built] = folder.glob("pushlane-*.whl")
    return built


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with nothing in it."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    run(UV, "venv", "--python", sys.executable, folder, cwd=folder.parent)
    return folder / "bin" / "python"


def install(python: Path, requirement: str) -> None:
    """From the lock's versions; hashes are the lock's own business."""
    pins = python.parent / "pins.txt"
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins.write_text("\n".join(line.rstrip(" \\") for line in lines if "==" in line and not line.startswith((" ", "#"))))
    run(UV, "pip", "install", "--python", python, "--constraint", pins, requirement, cwd=python.parent)


def test_the_base_wheel_needs_only_msgspec_and_simulates(wheel: Path, empty: Path, tmp_path: Path) -> None:
    install(empty, str(wheel))
    listed = json.loads(run(UV, "pip", "list", "--python", empty, "--format", "json", cwd=tmp_path))
    assert {one["name"] for one in listed} == {"msgspec", "pushlane"}
    (tmp_path / "trace.csv").write_text(TRACE)
    said = run(empty, "-m", "pushlane.simulator", "--trace", "trace.csv", "--slots", "1", cwd=tmp_path)
    report = json.loads(said)
    assert (report["tasks"], report["miss_pct"], report["wait_s"]["longest"]) == (2, 50.0, 1.9)


def test_a_foreign_app_of_ten_lines_gets_a_whole_pushlane(wheel: Path, empty: Path, tmp_path: Path) -> None:
    install(empty, f"pushlane[cdk] @ {wheel.as_uri()}")
    shutil.copytree(ROOT / "examples" / "greeter", tmp_path / "greeter")
    app = ROOT / "examples" / "foreign_app" / "app.py"
    shutil.copy(app, tmp_path / "app.py")
    template = synthesised(empty, tmp_path, "MyAgents")
    handlers = {
        one["Properties"]["Handler"] for one in template["Resources"].values() if one["Type"] == "AWS::Lambda::Function"
    }
    assert {"lambdas.router.handler.handler", "greeter.handler.handler"} <= handlers
    assert registered(template) == ["greeter"]


def test_a_scaffolded_project_is_tested_run_and_synthesised(wheel: Path, empty: Path, tmp_path: Path) -> None:
    install(empty, f"pushlane[cli,cdk] @ {wheel.as_uri()}")
    install(empty, "pytest")
    pushlane, project = empty.with_name("pushlane"), tmp_path / "word-counter"
    run(pushlane, "init", "word-counter", cwd=tmp_path)
    assert "6 passed" in run(empty, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=project)
    payload = json.dumps({"texts": ["one two", "three"]})
    told = run(pushlane, "agent", "run", "word_counter.handler:work", "--payload", payload, "--json", cwd=project)
    assert json.loads(told)["result"] == {"texts": 2, "words": 3}
    template = synthesised(empty, project, "WordCounter")
    assert registered(template) == ["word-counter"]


def synthesised(python: Path, project: Path, stack: str) -> dict[str, Any]:
    """The template of the project's stack, without third-party code in its bundles."""
    context = json.dumps({"stage": "dev", "vendor": False})
    run(python, "app.py", cwd=project, CDK_OUTDIR="cdk.out", CDK_CONTEXT_JSON=context, CDK_VALIDATION="false")
    template: dict[str, Any] = json.loads((project / "cdk.out" / f"{stack}.template.json").read_text())
    return template


def registered(template: dict[str, Any]) -> list[str]:
    agents = [one for one in template["Resources"].values() if one["Type"] == "Custom::PushlaneAgent"]
    return [one["Properties"]["AgentId"] for one in agents]
