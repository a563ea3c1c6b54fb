"""A workflow of 1,000 nodes with hundreds of lost calls: every node ends once, in order."""

import pytest

from tests.simulation.large_workflow import run
from tests.simulation.test_large_workflow import check

pytestmark = pytest.mark.long


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_large_workflow_ends_in_order_with_hundreds_of_crashes(seed: int) -> None:
    report = run(seed=seed, fault_probability=0.015)
    check(report)
    assert report.faults > 200
