"""A minute of the simulation for `make test`, over both workers; `make reliability` runs all of it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.reliability.campaign import ROOT, environment

SECONDS = 28


@pytest.mark.parametrize("first", [1_000_000, 2_000_000])
def test_worlds_full_of_faults_lose_nothing_do_nothing_twice_and_leave_nothing(first: int, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    more = ["--seconds", str(SECONDS + 15), "--processes", "1", "--no-sabotage", "--first", str(first)]
    command = [sys.executable, "-m", "tests.reliability", *more, "--partly", "--out", str(report)]
    path = environment(ROOT / "shared")
    ran = subprocess.run(command, cwd=ROOT, env=path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-4_000:] + ran.stderr[-2_000:]
    said: dict[str, Any] = json.loads(report.read_text())
    assert {name: said[name] for name in ("lost", "double_effects", "stale_accepted", "leaked", "stuck")} == {
        "lost": 0,
        "double_effects": 0,
        "stale_accepted": 0,
        "leaked": 0,
        "stuck": 0,
    }
    assert said["tasks"] > 200
    assert len(said["faults"]) >= 15
