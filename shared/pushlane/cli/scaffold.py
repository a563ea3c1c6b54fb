"""The files of a new agent project."""

import keyword
import re
import sys
from importlib import metadata, resources
from pathlib import Path
from string import Template
from typing import Final

from pushlane.model.errors import PushlaneError

NAME_MAX: Final = 40
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
# Importable names that the project's own package must not hide.
_TAKEN: Final = frozenset({"app", "aws_cdk", "boto3", "lambdas", "msgspec", "pushlane", "pytest", "tests"})
# Where each file comes to lie, and its template.
_FILES: Final = {
    ".gitignore": "gitignore",
    "README.md": "readme.md",
    "app.py": "app.py",
    "cdk.json": "cdk.json",
    "pyproject.toml": "pyproject.toml",
    "$package/__init__.py": "package.py",
    "$package/handler.py": "handler.py",
    "tests/test_$package.py": "test_agent.py",
}


class NotScaffolded(PushlaneError):
    """No project was made, and nothing was written."""


def scaffold(name: str, folder: Path) -> list[Path]:
    """Write a project of this name into `folder` (made if need be); returns its files.

    Raises `NotScaffolded` for a name that cannot be a package, and when a file is there already.
    """
    files = {folder / path: content for path, content in rendered(name).items()}
    there = sorted(str(path) for path in files if path.exists())
    if there:
        raise NotScaffolded(f"{', '.join(there)}: there already; choose another folder with --directory")
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(content)
    return list(files)


def rendered(name: str) -> dict[str, str]:
    """The project's files, by their paths in it."""
    words = {
        "name": name,
        "package": package_of(name),
        "construct": "".join(part.capitalize() for part in name.split("-")),
        "version": metadata.version("pushlane"),
    }
    templates = resources.files("pushlane.cli") / "template"
    return {
        Template(path).substitute(words): Template(
            (templates / f"{source}.template").read_text(encoding="utf-8")
        ).substitute(words)
        for path, source in _FILES.items()
    }


def package_of(name: str) -> str:
    """The importable name of the project's package; raises `NotScaffolded`."""
    if not _NAME.fullmatch(name) or len(name) > NAME_MAX:
        raise NotScaffolded(
            f"{name!r}: a name has a-z, 0-9 and single dashes, begins with a letter, is 1-{NAME_MAX} long"
        )
    package = name.replace("-", "_")
    if package in _TAKEN or package in sys.stdlib_module_names or keyword.iskeyword(package):
        raise NotScaffolded(f"{name!r}: Python already has a module or a word {package!r}; choose another name")
    return package
