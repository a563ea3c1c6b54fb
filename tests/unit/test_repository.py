"""What must never be in a committed file: addresses of package registries, paths of one machine, unfinished work."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

# Written in pieces, so that this file does not hold what it looks for.
REGISTRY_HOSTS = ("pypi" + ".org", "python" + "hosted.org", "npm" + "js.org", "yarn" + "pkg.com")
SETTINGS = ('"resol' + 'ved": *"https?:', "index-" + "url *[= ] *https?:")
REGISTRY = re.compile("|".join([*map(re.escape, REGISTRY_HOSTS), *SETTINGS]))
UNFINISHED = re.compile(r"\b(TO" + "DO|FIX" + r"ME|X" + r"XX)\b")
# This machine's own places, whichever it is.
OWN_PATHS = [f"{path}/" for path in (ROOT, Path.home()) if path != Path("/")]


def repository_files() -> list[Path]:
    """Every file that is committed or would be by `git add --all`."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = [ROOT / name for name in sorted(set(names.split("\0"))) if name]
    return [path for path in paths if path.is_file()]


def matches(pattern: re.Pattern[str], exempt: tuple[str, ...] = ()) -> list[str]:
    found = []
    for path in repository_files():
        name = path.relative_to(ROOT).as_posix()
        lines = path.read_bytes().decode(errors="replace").splitlines() if name not in exempt else []
        found += [f"{name}:{number}: {line[:120]}" for number, line in enumerate(lines, 1) if pattern.search(line)]
    return found


def test_there_are_files_to_look_at() -> None:
    names = {path.name for path in repository_files()}
    assert {"pyproject.toml", "requirements.lock", "package-lock.json", "Makefile"} <= names


def test_no_file_holds_the_address_of_a_package_registry() -> None:
    assert matches(REGISTRY) == []


@pytest.mark.parametrize("path", OWN_PATHS)
def test_no_file_holds_a_path_of_this_machine(path: str) -> None:
    assert matches(re.compile(rf"(?<![\w.]){re.escape(path)}")) == []


def test_nothing_is_marked_unfinished() -> None:
    assert matches(UNFINISHED) == []


@pytest.mark.parametrize(
    "line",
    [
        "see https://pypi" + ".org/simple",
        '  "resol' + 'ved": "https://example.test/x.tgz"',
        "--index-" + "url https://x",
    ],
)
def test_the_pattern_finds_registries(line: str) -> None:
    assert REGISTRY.search(line)
