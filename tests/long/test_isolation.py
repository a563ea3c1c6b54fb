"""A burst of one tenant against the same extra tasks spread over twenty: what quiet tenants notice of it."""

import json
import time
from pathlib import Path

import msgspec
import pytest

from pushlane.client.tenants import add_tenant
from pushlane.local.isolation import BURSTING, EVENLY, measure, tenants
from tests.e2e.conftest import ROOT, Deployed

pytestmark = pytest.mark.long

EXTRA = 1_000
REPORT = Path(ROOT) / "build" / "isolation" / "report.json"


def test_a_burst_costs_quiet_tenants_at_most_twice_what_even_load_does(deployed: Deployed) -> None:
    """Emulated. Quiet tenants on the burst's own intake queue and on the other one are reported apart."""
    for tenant_id in tenants():
        add_tenant(deployed.store, tenant_id, time.time_ns() // 1_000_000)
    queues = len(deployed.installation.intake_queue_urls)
    assert queues > 1
    control = measure(deployed.client, extra=EXTRA, bursting=EVENLY, intake_queues=queues)
    burst = measure(deployed.client, extra=EXTRA, bursting=[BURSTING], intake_queues=queues)
    ratios = {
        "same_queue": round(burst.same_queue.p99 / max(1.0, control.same_queue.p99), 3),
        "other_queue": round(burst.other_queue.p99 / max(1.0, control.other_queue.p99), 3),
    }
    summary = {"ratio_p99": ratios, "burst": msgspec.to_builtins(burst), "control": msgspec.to_builtins(control)}
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(summary, indent=2) + "\n")
    print(json.dumps(summary))
    assert ratios["other_queue"] <= 2.0
    assert ratios["same_queue"] <= 2.0
