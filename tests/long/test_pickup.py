"""Pickup at low load against its floors: the same hops with functions that do nothing, or only commit and start."""

import json
from pathlib import Path

import msgspec
import pytest

from pushlane.local.pickup import AGENT_CODE, measure
from tests.e2e.conftest import ROOT, Deployed

pytestmark = pytest.mark.long

SAMPLES = 120
REPORT = Path(ROOT) / "build" / "pickup" / "report.json"


def test_pickup_is_at_most_twice_what_committing_costs(deployed: Deployed) -> None:
    """Emulated: only the ratios mean something. A hop takes the emulator 4 ms and a call as long, so that the floor
    whose functions do nothing says more of it than of Pushlane: that ratio is in the report, and has no bound here.
    """
    found = measure(deployed.client, deployed.session, samples=SAMPLES, tenant_id="atlas")
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
    print(json.dumps(msgspec.to_builtins(found)))
    assert found.clock == AGENT_CODE
    assert found.ratio_to_committing_floor_p50 <= 2.0
    assert found.ratio_to_committing_floor_p99 <= 2.5
