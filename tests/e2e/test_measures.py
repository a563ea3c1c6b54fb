"""What was measured of a task stands in the measures table, counted by the deployed lifecycle, each task once."""

import pytest

from pushlane.telemetry.reading import summaries
from pushlane.telemetry.report import Summary
from tests.e2e.conftest import Deployed, eventually

pytestmark = pytest.mark.e2e

FOREVER_MS = 2**42
TASKS = 5


def test_tasks_are_measured_once_from_door_to_end(deployed: Deployed) -> None:
    def so_far() -> Summary:
        found = summaries(deployed.store, from_ms=0, to_ms=FOREVER_MS, tenant_id="birch", by="tenant_tier")
        none = Summary(tenant_id="birch", tier="low", from_ms=0, to_ms=FOREVER_MS)
        return next((one for one in found if one.tier == "low"), none)

    before = so_far().counts
    for value in range(TASKS):
        said = {"tenant_id": "birch", "task_type": "chaos", "tier": "low", "payload": {"do": "echo", "value": value}}
        deployed.client.submit(said)
    wanted = {name: before.get(name, 0) + TASKS for name in ("started", "succeeded")}

    def measured() -> Summary | None:
        found = so_far()
        return found if all(found.counts.get(name, 0) >= count for name, count in wanted.items()) else None

    found = eventually(measured, "five tasks in the measures", 60)
    assert {name: found.counts[name] for name in wanted} == wanted
    assert {"pickup", "ingest", "dispatch", "run"} <= found.latencies.keys()
    assert 0 < found.latencies["pickup"].p50_ms < 60_000
