"""Pickup at low load against the floor: the same hops with functions that do nothing, samples interleaved."""

import json
from pathlib import Path
from statistics import median

import msgspec
import pytest

from pushlane.local.pickup import AGENT_CODE, measure
from tests.e2e.conftest import ROOT, Deployed

pytestmark = pytest.mark.long

SAMPLES = 200
RUNS = 3
REPORT = Path(ROOT) / "build" / "pickup" / "report.json"


def test_pickup_is_at_most_twice_the_floor(deployed: Deployed) -> None:
    """Three runs; the report has each. Emulated: only the ratios mean something."""
    runs = [measure(deployed.client, deployed.session, samples=SAMPLES, tenant_id="atlas") for _ in range(RUNS)]
    ratio_p50, ratio_p99 = median(run.ratio_p50 for run in runs), median(run.ratio_p99 for run in runs)
    told = [msgspec.to_builtins(run) for run in runs]
    summary = {"samples": SAMPLES, "ratio_p50": ratio_p50, "ratio_p99": ratio_p99, "runs": told}
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(summary, indent=2) + "\n")
    print(json.dumps(summary))
    assert {run.clock for run in runs} == {AGENT_CODE}
    assert ratio_p50 <= 2.0
    assert ratio_p99 <= 2.5
