"""`pushlane init`: the project that it makes works as it is, and nothing is ever overwritten."""

import json
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pushlane.cli.failures import explained
from pushlane.cli.main import app
from pushlane.cli.scaffold import NotScaffolded

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(sys.executable).parent
FILES = {
    ".gitignore",
    "README.md",
    "app.py",
    "cdk.json",
    "pyproject.toml",
    "tests/test_word_counter.py",
    "word_counter/__init__.py",
    "word_counter/handler.py",
}


def init(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["init", *arguments])


def run(folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("new") / "project"
    assert init("word-counter", "--directory", str(folder)).exit_code == 0
    return folder


def test_it_writes_a_project_and_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = init("word-counter", "--json")
    assert json.loads(said.stdout)["directory"] == "word-counter"
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert written == set(json.loads(said.stdout)["files"]) == {f"word-counter/{name}" for name in FILES}


def test_no_placeholder_is_left_and_pushlane_is_pinned(project: Path) -> None:
    for path in project.rglob("*"):
        assert not path.is_file() or "$" not in path.read_text()
    declared = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    assert declared["name"] == "word-counter"
    assert declared["dependencies"] == [f"pushlane[cli,cdk]=={metadata.version('pushlane')}"]


@pytest.mark.long
def test_its_own_tests_pass(project: Path) -> None:
    done = run(project, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout
    assert "6 passed" in done.stdout


def test_its_agent_runs(project: Path) -> None:
    command = ["agent", "run", "word_counter.handler:work", "--payload", '{"texts": ["one two", "three"]}', "--json"]
    done = run(project, BIN / "pushlane", *command)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"] == {"texts": 2, "words": 3}


def test_it_is_written_as_this_repository_is(project: Path) -> None:
    config = ["--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    # I001: which packages are a project's own is for its own configuration to say.
    for check in (["check", *config, "--extend-ignore", "INP001,I001"], ["format", "--check", *config]):
        done = run(project, BIN / "ruff", *check, ".")
        assert done.returncode == 0, done.stdout


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    said = init("word-counter", "--directory", str(tmp_path))
    assert isinstance(said.exception, NotScaffolded)
    message = explained(said.exception)
    assert message is not None
    assert message.startswith(f"{tmp_path / 'README.md'}: there already")
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    assert (tmp_path / "README.md").read_text() == "mine"


def test_it_goes_beside_what_it_does_not_touch(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert init("word-counter", "--directory", str(tmp_path)).exit_code == 0
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["Word", "a_b", "-a", "a--b", "a-", "7a", "a/b", "..", "", "x" * 41, "json", "class"])
def test_a_name_that_cannot_be_a_package_is_refused(name: str, tmp_path: Path) -> None:
    said = init("--directory", str(tmp_path / "new"), "--", name)
    assert isinstance(said.exception, NotScaffolded)
    assert repr(name) in str(said.exception)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["tests", "pushlane"])
def test_a_name_that_would_hide_what_the_project_imports_is_refused(name: str, tmp_path: Path) -> None:
    assert isinstance(init(name, "--directory", str(tmp_path / "new")).exception, NotScaffolded)
