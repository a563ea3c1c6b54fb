"""Pickup at low load against its floors: the same hops with functions that do nothing, or only commit and start."""

import json
from pathlib import Path

import msgspec
import pytest

from pushlane.local.pickup import AGENT_CODE, measure
from tests.e2e.conftest import ROOT, Deployed

pytestmark = pytest.mark.long

SAMPLES = 200
REPORT = Path(ROOT) / "build" / "pickup" / "report.json"


def test_pickup_is_at_most_twice_the_floor(deployed: Deployed) -> None:
    """Emulated: only the ratios mean something. The floor that commits is held; the one whose functions do nothing is
    wanted, and cannot be reached where a call takes as long as a hop (ADR 0031).
    """
    found = measure(deployed.client, deployed.session, samples=SAMPLES, tenant_id="atlas")
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
    print(json.dumps(msgspec.to_builtins(found)))
    assert found.clock == AGENT_CODE
    assert found.ratio_to_committing_floor_p50 <= 2.0
    assert found.ratio_to_committing_floor_p99 <= 2.5
    if found.ratio_p50 > 2.0 or found.ratio_p99 > 2.5:
        above = f"{found.ratio_p50} (p50) and {found.ratio_p99} (p99) times the floor whose functions do nothing"
        pytest.xfail(f"{above}, wanted within 2.0 and 2.5")
