"""The commands of README.md, and the shell blocks that hold them."""

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
_BLOCK: Final = re.compile(r"^```(?P<kind>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)

_GREET: Final = """.venv/bin/pushlane agent run examples.greeter.handler:greet --payload '{"name": "Ada"}'"""

# Every command that README shows, and the test that runs it. `make test` is what runs the tests.
EXECUTED: Final = {
    "make demo": "tests/long/test_readme.py",
    "make up": "tests/long/test_readme.py",
    ".venv/bin/pushlane tenants add atlas": "tests/long/test_readme.py",
    ".venv/bin/pushlane submit README.md --tenant atlas --type extract --wait": "tests/long/test_readme.py",
    ".venv/bin/pushlane agents": "tests/long/test_readme.py",
    ".venv/bin/pushlane status": "tests/long/test_readme.py",
    ".venv/bin/pushlane dlq list": "tests/long/test_readme.py",
    ".venv/bin/pushlane policy get --effective": "tests/long/test_readme.py",
    ".venv/bin/pushlane policy validate examples/policy.json": "tests/long/test_readme.py",
    "make sim": "tests/long/test_simulation.py",
    "make reliability": "tests/reliability/test_reliability.py, for a minute",
    ".venv/bin/python examples/submit_a_task.py": "tests/long/test_readme.py",
    "make down": "tests/long/test_readme.py",
    ".venv/bin/pushlane init word-counter --directory build/word-counter": "tests/long/test_readme.py",
    ".venv/bin/python -m pytest build/word-counter": "tests/long/test_readme.py",
    _GREET: "tests/long/test_readme.py",
    "make help": "tests/long/test_readme.py",
    "make setup": "tests/long/test_readme.py",
    "source .venv/bin/activate": "tests/long/test_readme.py",
    "npx cdk synth --quiet -c stage=dev": "tests/long/test_readme.py",
    "npx cdk bootstrap": "tests/long/test_readme.py, against the embedded AWS",
    "npx cdk deploy --all -c stage=dev": "tests/long/test_readme.py, against the embedded AWS at stage local",
    "make bench": "too long beside the others: its parts, by tests/unit/bench; its last whole run is in docs/bench.md",
    "make test": "the caller",
}


def blocks(kind: str) -> list[str]:
    """The bodies of README's code blocks of one kind ("" for plain ones)."""
    text = (ROOT / "README.md").read_text()
    return [found["body"] for found in _BLOCK.finditer(text) if found["kind"] == kind]


def commands() -> list[str]:
    """The shell commands in README's blocks and in its running text."""
    lines = [line for body in blocks("") for line in body.splitlines()]
    shown = [line for line in lines if re.match(r"(make|npx|source|\.venv/bin/\w+) ", line)]
    inline = re.findall(r"`(make [a-z-]+|npx cdk [^`]+)`", (ROOT / "README.md").read_text())
    return [*shown, *inline]
