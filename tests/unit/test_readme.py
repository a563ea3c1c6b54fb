"""README shows what is tested: its commands have a test that runs them, its code is the examples' own."""

import ast
import re
from pathlib import Path

import pytest

from tests.readme import EXECUTED, ROOT, blocks, commands

EXAMPLES = (
    "examples/submit_a_task.py",
    "examples/watch_a_task.py",
    "examples/greeter/handler.py",
    "examples/foreign_app/app.py",
)


def test_every_command_is_executed_by_a_test() -> None:
    shown = commands()
    assert "make demo" in shown
    assert set(shown) == set(EXECUTED)


def test_the_table_of_executed_commands_is_no_wish() -> None:
    source = (ROOT / "tests" / "long" / "test_readme.py").read_text()
    for command, where in EXECUTED.items():
        if where.startswith("tests/long/test_readme.py"):
            essence = command.replace(".venv/bin/", "").replace("npx ", "").split(" -")[0].split()[:3]
            assert all(word in source for word in essence), command


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_code_is_that_of_the_tested_examples(example: str) -> None:
    source = (ROOT / example).read_text()
    docstring = ast.parse(source).body[0]
    body = "\n".join(source.splitlines()[docstring.end_lineno :]).strip("\n")
    assert body + "\n" in blocks("python")


def test_every_link_leads_somewhere() -> None:
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "localstack" / "README.md"]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} -> {Path(target)}"
