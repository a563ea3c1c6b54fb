"""The verb that makes an agent project."""

from pathlib import Path
from typing import Annotated

import typer

from pushlane.cli import output
from pushlane.cli.options import Json


def add_to(app: typer.Typer) -> None:
    """Add the verb of this module."""
    app.command()(init)


def init(
    name: Annotated[str, typer.Argument(help="Name of the project and its agent: a-z, 0-9 and dashes.")],
    directory: Annotated[Path | None, typer.Option(help="Where to; default: a folder of that name.")] = None,
    json: Json = False,
) -> None:
    """Make an agent project: the agent, its test, and a CDK app that deploys it. Nothing is overwritten.

    \b
    Examples:
      pushlane init word-counter
      pushlane init word-counter --directory ~/projects/agents
    """
    from pushlane.cli.scaffold import package_of, scaffold

    folder = directory or Path(name)
    files = scaffold(name, folder)
    if json:
        output.as_json({"name": name, "directory": str(folder), "files": [str(path) for path in files]})
        return
    for path in files:
        output.line(str(path))
    example = """'{"texts": ["one two", "three"]}'"""
    output.note(f"Next: cd {folder}; pytest; pushlane agent run {package_of(name)}.handler:work --payload {example}")
