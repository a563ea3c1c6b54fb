"""Set-up's decisions, and that the lock files agree with each other."""

import json
import shutil
from pathlib import Path

import pytest

from tools.bootstrap import INPUTS, ROOT, inputs_digest, node_major, python_problem
from tools.lock import NODE_REQUIREMENT, uv_entry


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 12, 9), (3, 13, 1)])
def test_supported_pythons_have_no_problem(version: tuple[int, ...]) -> None:
    assert python_problem(version) is None


@pytest.mark.parametrize("version", [(3, 10, 13), (3, 14, 0), (2, 7, 18)])
def test_other_pythons_are_told_what_to_do(version: tuple[int, ...]) -> None:
    problem = python_problem(version)
    assert problem is not None
    assert f"this is {version[0]}.{version[1]}" in problem
    assert "make setup PYTHON=python3.13" in problem


@pytest.mark.parametrize(("answer", "major"), [("v20.20.2\n", 20), ("v8.1.0", 8), ("", 0), ("not found", 0)])
def test_node_versions(answer: str, major: int) -> None:
    assert node_major(answer) == major


@pytest.mark.parametrize("name", INPUTS)
def test_a_change_of_any_input_sets_up_again(tmp_path: Path, name: str) -> None:
    for each in INPUTS:
        (tmp_path / each).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / each, tmp_path / each)
    before = inputs_digest(tmp_path, "3.11.7", "system")
    assert inputs_digest(tmp_path, "3.11.7", "system") == before
    (tmp_path / name).write_text((tmp_path / name).read_text() + "\n")
    assert inputs_digest(tmp_path, "3.11.7", "system") != before


def test_another_python_or_node_sets_up_again() -> None:
    digests = {inputs_digest(ROOT, python, node) for python in ("3.11.7", "3.12.1") for node in ("system", "own")}
    assert len(digests) == 4


def test_the_installer_is_the_locked_one() -> None:
    assert uv_entry((ROOT / "requirements.lock").read_text()) in (ROOT / "requirements-bootstrap.lock").read_text()


def test_node_lock_holds_the_pinned_node() -> None:
    assert f"\n{NODE_REQUIREMENT} \\\n" in (ROOT / "requirements-node.lock").read_text()


def test_the_cdk_command_line_is_pinned_exactly() -> None:
    asked = json.loads((ROOT / "package.json").read_text())["devDependencies"]["aws-cdk"]
    locked = json.loads((ROOT / "package-lock.json").read_text())["packages"]["node_modules/aws-cdk"]
    assert locked["version"] == asked
    assert locked["integrity"].startswith("sha512-")
