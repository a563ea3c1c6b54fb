"""docs/agents.md is true: its Python runs as it stands there, its commands work, its limits are the code's."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pushlane.agent.emits import DATA_BYTES_MAX
from pushlane.model.claim_check import CLAIMED_BYTES_MAX, INLINE_BYTES_MAX
from pushlane.model.events import CAUSATION_DEPTH_MAX, Dispatch
from pushlane.model.nesting import NESTING_MAX
from pushlane.model.signals import SIGNAL_DATA_BYTES_MAX, SIGNALS_BYTES_MAX, SIGNALS_MAX

PAGE = Path(__file__).resolve().parents[2] / "docs" / "agents.md"
_BLOCK = re.compile(r"^```(?P<kind>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
KIB, MIB = 1024, 1024 * 1024


def blocks(kind: str) -> list[str]:
    return [found["body"] for found in _BLOCK.finditer(PAGE.read_text()) if found["kind"] == kind]


def test_the_python_runs_block_after_block() -> None:
    names: dict[str, Any] = {"__name__": "agents_page"}
    for number, body in enumerate(blocks("python"), start=1):
        exec(compile(body, f"docs/agents.md, block {number}", "exec"), names)
    assert {"price", "count", "buy", "publish", "render", "translate", "ask", "report", "essay"} <= names.keys()


def test_most_blocks_assert_what_they_show() -> None:
    assert sum("assert " in body for body in blocks("python")) >= len(blocks("python")) - 1


@pytest.mark.long
def test_the_commands_work(tmp_path: Path) -> None:
    [script] = blocks("")
    found = f'PATH="{Path(sys.executable).parent}:$PATH"\n'
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", found + script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    assert '"words": 3' in done.stdout


@pytest.mark.parametrize(
    ("what", "limit"),
    [
        ("inside the tables", f"{INLINE_BYTES_MAX // KIB} KiB"),
        ("at all", f"{CLAIMED_BYTES_MAX // MIB} MiB"),
        ("nesting", f"{NESTING_MAX} levels"),
        ("one event", f"{DATA_BYTES_MAX // KIB} KiB"),
        ("signals to one task", str(SIGNALS_MAX)),
        ("one signal", f"{SIGNAL_DATA_BYTES_MAX // KIB} KiB"),
        ("all signals", f"{SIGNALS_BYTES_MAX // KIB} KiB"),
        ("tasks submitting", f"{CAUSATION_DEPTH_MAX} deep"),
    ],
)
def test_the_limits_are_the_codes(what: str, limit: str) -> None:
    [row] = [line for line in PAGE.read_text().splitlines() if line.startswith("| ") and what in line.split("|")[1]]
    assert row.split("|")[2].strip() == limit


def test_the_lease_is_the_codes() -> None:
    [field] = [one for one in Dispatch.__struct_fields__ if one == "lease_seconds"]
    default = Dispatch.__struct_defaults__[Dispatch.__struct_fields__.index(field) - len(Dispatch.__struct_fields__)]
    assert f"(`lease_seconds`, {default:g})" in PAGE.read_text()
