"""The assembly of an app is made again when, and only when, something that it is made of has changed."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pushlane.local.assembly import assembly_digest, cached_assembly

CONTEXT: dict[str, object] = {"stage": "local", "queues": 2}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in {
        "app.py": "app",
        "cdk.json": "{}",
        "pyproject.toml": "[project]",
        "requirements.lock": "a==1",
        "shared/pushlane/a.py": "a",
        "lambdas/router/handler.py": "handler",
        "tests/test_a.py": "test",
        "docs/conf.py": "docs",
        "README.md": "readme",
        ".venv/lib/x.py": "library",
    }.items():
        write(tmp_path / name, text)
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def move_text(root: Path) -> None:
    write(root / "app.py", "ap")
    write(root / "lambdas/router/handler.py", "phandler")


class Synthesis:
    """Writes an assembly, counting how often it is asked to."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, folder: Path) -> None:
        self.runs += 1
        write(folder / "manifest.json", str(self.runs))
        write(folder / "asset.1" / "code.py", "code")


def assemblies(root: Path) -> set[str]:
    folder = root / "build" / "assemblies"
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


CHANGES: dict[str, Callable[[Path], object]] = {
    "a source file": lambda root: write(root / "shared/pushlane/a.py", "b"),
    "the app": lambda root: write(root / "app.py", "app2"),
    "a handler": lambda root: write(root / "lambdas/router/handler.py", "other"),
    "a pin": lambda root: write(root / "requirements.lock", "a==2"),
    "the context file": lambda root: write(root / "cdk.json", '{"a":1}'),
    "the project": lambda root: write(root / "pyproject.toml", "[other]"),
    "a new file": lambda root: write(root / "stacks/new.py", ""),
    "a removed file": lambda root: (root / "lambdas/router/handler.py").unlink(),
    "a renamed file": lambda root: (root / "shared/pushlane/a.py").rename(root / "shared/pushlane/b.py"),
    "text moved from one file to the next": move_text,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_an_assembly_is_made_of_makes_another(root: Path, change: Callable[[Path], object]) -> None:
    before = assembly_digest(root, CONTEXT)
    change(root)
    assert assembly_digest(root, CONTEXT) != before


@pytest.mark.parametrize("context", [{}, {"stage": "dev", "queues": 2}, {"stage": "local", "queues": "2"}])
def test_another_context_makes_another(root: Path, context: dict[str, object]) -> None:
    assert assembly_digest(root, context) != assembly_digest(root, CONTEXT)


@pytest.mark.parametrize(
    "name", ["README.md", "tests/test_a.py", "docs/conf.py", ".venv/lib/x.py", "shared/pushlane/notes.txt"]
)
def test_what_is_no_part_of_an_assembly_does_not(root: Path, name: str) -> None:
    before = assembly_digest(root, CONTEXT)
    write(root / name, "changed")
    write(root / "shared/pushlane/__pycache__/a.cpython.py", "compiled")
    write(root / "build/assemblies/x/app.py", "built")
    assert assembly_digest(root, CONTEXT) == before
    assert assembly_digest(root, dict(reversed(CONTEXT.items()))) == before


def test_an_unchanged_app_is_not_synthesised_again(root: Path) -> None:
    synthesis = Synthesis()
    first = cached_assembly(root, CONTEXT, synthesis)
    assert cached_assembly(root, CONTEXT, synthesis) == first
    assert synthesis.runs == 1
    assert (first / "manifest.json").read_text() == "1"
    assert (first / "asset.1" / "code.py").is_file()
    assert assemblies(root) == {first.name}


def test_a_changed_app_is_and_the_old_assembly_is_found_again_after_a_revert(root: Path) -> None:
    synthesis = Synthesis()
    first = cached_assembly(root, CONTEXT, synthesis)
    write(root / "app.py", "changed")
    assert cached_assembly(root, CONTEXT, synthesis) != first
    write(root / "app.py", "app")
    assert cached_assembly(root, CONTEXT, synthesis) == first
    assert synthesis.runs == 2


@pytest.mark.parametrize("error", [RuntimeError("failed"), KeyboardInterrupt()])
def test_an_interrupted_synthesis_leaves_nothing_and_the_next_one_is_whole(root: Path, error: BaseException) -> None:
    def interrupted(folder: Path) -> None:
        write(folder / "manifest.json", "half")
        raise error

    with pytest.raises(type(error)):
        cached_assembly(root, CONTEXT, interrupted)
    assert assemblies(root) == set()
    assert (cached_assembly(root, CONTEXT, Synthesis()) / "manifest.json").read_text() == "1"


def test_the_last_four_are_kept(root: Path) -> None:
    made: list[Path] = []
    for number in range(6):
        write(root / "app.py", str(number))
        made.append(cached_assembly(root, CONTEXT, Synthesis()))
        os.utime(made[-1], (number, number))  # made one after the other, however coarse the file system's clock
    assert assemblies(root) == {path.name for path in made[-4:]}


def test_two_syntheses_side_by_side_give_one_assembly(root: Path) -> None:
    def synthesise(folder: Path) -> None:
        write(folder / "manifest.json", "mine")
        write(root / "build" / "assemblies" / assembly_digest(root, CONTEXT) / "manifest.json", "of another process")

    assembly = cached_assembly(root, CONTEXT, synthesise)
    assert (assembly / "manifest.json").read_text() == "of another process"
    assert [one.name for one in assembly.parent.iterdir()] == [assembly.name]
