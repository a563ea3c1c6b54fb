"""docs/reference/settings.md: what each Lambda function reads from its environment, what differs between stages, the
CDK app's context flags, and what the command line reads.
"""

import ast
import dataclasses
import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, get_type_hints

import typer

from pushlane.cli.main import app
from pushlane.cli.over_http import API_KEY
from pushlane.cli.target import ENVELOPE_KEY
from pushlane.client.installation import STACK_VARIABLE
from pushlane.settings import edge, functions
from pushlane.settings.environment import variable
from pushlane.settings.stage import STAGES, Stage, StageConfig
from tools.reference.markdown import code, first_sentence, opening, table

ROOT: Final = Path(__file__).resolve().parents[2]
FLAG_SOURCES: Final = (ROOT / "shared" / "pushlane" / "cdk", ROOT / "stacks")
_SAID: Final = """\
A function's variables are set by the CDK app from the same classes that the function reads them by: you set none
of them by hand. What you do choose are [the stage](#stages), [context flags](#context-flags) and
[variables of the command line](#the-command-line)."""
# Read by the code itself; those of options are found in the Typer app.
_READ_BY_HAND: Final = {
    API_KEY: "API key (`pushlane keys create`) or token, for verbs with `--api`",
    ENVELOPE_KEY: "key that signs what verbs send through the doors (`pushlane keys create --kind envelope`)",
    STACK_VARIABLE: "name of the stack, where an account and region hold several installations of a stage",
}


def page() -> str:
    """The page."""
    parts = [
        opening("Settings", "`shared/pushlane/settings`, the CDK app and the Typer app", _SAID),
        f"## Stages\n\n{_stages()}",
        f"## Context flags\n\nTheir meanings are in [Deploy](../deploy.md#context-flags).\n\n{_flags()}",
        f"## The command line\n\n{_command_line()}",
        "## Functions\n",
        *(_function(one) for one in _classes()),
    ]
    return "\n".join(parts)


def _classes() -> list[type[Any]]:
    """The settings of each function, in the order of the code."""
    found = [value for module in (functions, edge) for value in vars(module).values()]
    mine = [one for one in found if inspect.isclass(one) and one.__name__.endswith("Settings")]
    return list(dict.fromkeys(mine))


def _function(settings: type[Any]) -> str:
    hints, comments = get_type_hints(settings), _comments(settings)
    rows = [
        (code(variable(field.name)), _type(hints[field.name]), _needed(field), comments.get(field.name, ""))
        for field in dataclasses.fields(settings)
    ]
    return f"### {settings.__name__}\n\n{inspect.getdoc(settings)}\n\n{_variables(rows)}"


def _variables(rows: list[tuple[str, str, str, str]]) -> str:
    return table(["variable", "type", "default", "note"], rows)


def _type(hint: Any) -> str:
    return getattr(hint, "__name__", str(hint)) if isinstance(hint, type) else str(hint)


def _needed(field: "dataclasses.Field[Any]") -> str:
    return "" if field.default is dataclasses.MISSING else code(str(field.default) or '""')


def _comments(settings: type[Any]) -> dict[str, str]:
    """What stands behind a field of the class or of one that it is made from."""
    found: dict[str, str] = {}
    for one in reversed(settings.__mro__[:-1]):
        lines = inspect.getsource(one).splitlines()
        said = (re.match(r"    (\w+): .*?  # (.+)", line) for line in lines)
        found |= {match[1]: match[2] for match in said if match}
    return found


def _stages() -> str:
    names = [field.name for field in dataclasses.fields(StageConfig) if field.name != "stage"]
    rows = ([code(name), *(_value(getattr(STAGES[stage], name)) for stage in Stage)] for name in names)
    said = " ".join((inspect.getdoc(StageConfig) or "").split())
    return f"{said}\n\n{table(['setting', *(code(stage) for stage in Stage)], rows)}"


def _value(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _flags() -> str:
    used = sorted(context_flags().items())
    return table(["flag", "read in"], ((code(name), ", ".join(map(code, sorted(paths)))) for name, paths in used))


def context_flags() -> Mapping[str, set[str]]:
    """Every context flag that the CDK app reads, and the files that do."""
    found: dict[str, set[str]] = {}
    for path in sorted(file for folder in FLAG_SOURCES for file in folder.rglob("*.py")):
        for name in _flags_in(ast.parse(path.read_text())):
            found.setdefault(name, set()).add(path.relative_to(ROOT).as_posix())
    return found


def _flags_in(tree: ast.Module) -> Iterator[str]:
    """First arguments of `try_get_context("...")` and second ones of `flag(scope, "...")`."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        place = {"try_get_context": 0, "flag": 1}.get(name)
        said = call.args[place] if place is not None and len(call.args) > place else None
        if isinstance(said, ast.Constant):
            yield str(said.value)


def described_flags(page_text: str) -> set[str]:
    """The flags in the table of docs/deploy.md."""
    section = page_text.partition("## Context flags")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` ", section, re.MULTILINE))


def _command_line() -> str:
    found = dict(_READ_BY_HAND) | dict(_of_options(typer.main.get_command(app)))
    return table(["variable", "meaning"], ((code(name), said) for name, said in sorted(found.items())))


def _of_options(command: Any) -> Iterator[tuple[str, str]]:
    for verb in getattr(command, "commands", {}).values():
        yield from _of_options(verb)
    for one in command.params:
        if getattr(one, "envvar", None):
            names = [one.envvar] if isinstance(one.envvar, str) else one.envvar
            yield from ((name, first_sentence(one.help)) for name in names)
