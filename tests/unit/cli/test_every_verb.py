"""What holds for every verb there is: help with an example, `--json`, and for what talks to AWS a place to talk to."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from pushlane.cli.main import app

ROOT = typer.main.get_command(app)


def every(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each verb that does something, with its words."""
    if isinstance(command, TyperGroup):
        if path and command.invoke_without_command:
            yield path, command
        for name, below in command.commands.items():
            yield from every(below, (*path, name))
    else:
        yield path, command


VERBS = dict(every(ROOT))
NAMES = [" ".join(path) for path in VERBS]
WHERE = {"--stage", "--profile", "--endpoint"}
VERB = pytest.mark.parametrize("path", VERBS, ids=NAMES)
# The verbs of issue 6; the others are checked because they are there.
WANTED = {
    *("up", "down", "demo", "submit", "watch", "wait", "status", "why", "cancel", "signal", "agents", "pools", "lanes"),
    *("tenants add", "policy get", "resources", "dlq list", "trace", "top", "simulate", "doctor", "report"),
}


def options(command: Any) -> set[str]:
    return {name for one in command.params for name in one.opts}


def test_the_verbs_that_are_asked_for_are_there() -> None:
    assert set(NAMES) >= WANTED


@VERB
def test_it_is_as_every_verb_is(path: tuple[str, ...]) -> None:
    command = VERBS[path]
    assert "--json" in options(command)
    assert not [one.name for one in command.params if not getattr(one, "help", None)], "each says what it is"
    assert options(command) & WHERE in (set(), WHERE), "what talks to an installation can be told which"
    said = command.help or ""
    assert re.search(r"Examples?:\n", said), said
    calls = examples(said, path)
    assert calls, said
    for call in calls:
        words = {word.partition("=")[0] for word in shlex.split(call) if word.startswith("--")}
        assert words <= {*options(command), "--help"}, call


def examples(said: str, path: tuple[str, ...]) -> list[str]:
    """What follows the verb in each example that calls it, up to the next command of its line."""
    lines = said.partition("Example")[2].splitlines()
    rests = [rest for line in lines if (rest := line.partition(f"pushlane {' '.join(path)}"))[1]]
    return [_first_command(rest) for _, _, rest in rests]


def _first_command(rest: str) -> str:
    return rest if "'" in rest else re.split(r"\s[|<>&]+\s?|;", rest)[0]


def test_short_help_of_the_whole_names_every_group() -> None:
    assert isinstance(ROOT, TyperGroup)
    assert all(one.get_short_help_str() for one in ROOT.commands.values())


def test_completion_can_be_installed() -> None:
    assert {"--install-completion", "--show-completion"} <= options(ROOT)
