"""`make sim` as README says it: every world, every policy, and the targets that it holds Pushlane to. Simulated."""

import json

import pytest

from tests.long.test_readme import shell
from tests.readme import ROOT

pytestmark = pytest.mark.long


def test_make_sim() -> None:
    """The worlds of a recorded trace run only where it is (`TRACE=`); the command itself fails on a missed target."""
    shell("make sim", 900)
    worlds = json.loads((ROOT / "build" / "sim" / "report.json").read_text())["worlds"]
    assert {"noisy-0.92", "tight-tpm", "workflows"} <= worlds.keys()
    for world in worlds.values():
        for sigma in ("0", "0.5", "1"):
            miss = world["sigma"][sigma]["policies"]["pushlane"]["miss_pct"]
            assert max(miss["by_tier"].get("critical", 0), miss["by_tier"].get("high", 0)) <= 0.1
    noisy = worlds["noisy-0.92"]["sigma"]["0"]["policies"]
    assert noisy["pushlane"]["miss_pct"]["quiet"] <= 3.0
    assert noisy["pushlane"]["miss_pct"]["all"] <= 23.0
    assert noisy["late-last"]["miss_pct"]["quiet"] >= 3 * noisy["pushlane"]["miss_pct"]["quiet"]
