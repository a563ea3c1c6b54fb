"""What if we die before, after or in the middle of any write of a workflow, or an answer is lost?

One workflow of every kind of edge is run once for every call that it makes of the store, with that call failing before
it is applied, or applied and its answer lost. Whatever fails, every node ends once, in order, and nothing is left.
"""

from collections import Counter

import pytest

from pushlane.model.events import FactName
from pushlane.model.workflow import WorkflowStatus, node_task_id
from pushlane.ports import Table
from tests.unit.model.workflows import node
from tests.unit.router.faults import FailAt
from tests.unit.router.workflow_world import WorkflowWorld

pytestmark = pytest.mark.long

NODES = [
    node("a"),
    node("b", "a"),
    node("c", "a", payload={"fail": True}),
    node("d", {"node": "c", "on_failure": "skip"}),
    node("e", "c"),
    node("f", "b", {"node": "d", "on_failure": "continue"}),
    node("g", "b", "f"),
]
ENDS = ["SUCCEEDED", "SUCCEEDED", "FAILED", "CANCELLED", "FAILED", "SUCCEEDED", "SUCCEEDED"]
NAMES = "abcdefg"
TERMINAL = (FactName.TASK_SUCCEEDED, FactName.TASK_FAILED, FactName.TASK_CANCELLED, FactName.TASK_EXPIRED)


def run_world(faults: FailAt, *, cancelled: bool = False) -> tuple[WorkflowWorld, str]:
    world = WorkflowWorld(slots=2, faults=faults)
    faults.armed = True
    workflow_id = world.submit(*NODES)
    if cancelled:
        world.dispatcher.step()
        world.command("CancelWorkflow", workflow_id=workflow_id)
    world.dispatcher.run_until_idle()
    world.dispatcher.advance(10)
    return world, workflow_id


def settle(world: WorkflowWorld) -> None:
    for _ in range(4):
        world.dispatcher.advance(60)
        world.dispatcher.sweep()
        world.dispatcher.run_until_idle()


def check(world: WorkflowWorld, workflow_id: str) -> None:
    ids = [node_task_id(workflow_id, name) for name in NAMES[: world.row(workflow_id).written]]
    facts = {(f.metadata.fact_id, f.metadata.name, f.data.task_id) for f in world.dispatcher.facts}
    ended = Counter(task_id for _, name, task_id in facts if name in TERMINAL)
    assert ended == Counter(dict.fromkeys(ids, 1))
    assert Counter(name for _, name, _ in facts)[FactName.WORKFLOW_ENDED] == 1
    assert len(world.marks(workflow_id)) == len(ids)
    assert world.duties() == []
    assert world.dispatcher.used("one") == 0
    assert world.dispatcher.store.items(Table.ATTEMPTS) == []


def calls(*, cancelled: bool) -> int:
    counting = FailAt(None, "before")
    run_world(counting, cancelled=cancelled)
    return counting.calls


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_workflow_survives_the_failure_of_any_call(moment: str) -> None:
    total = calls(cancelled=False)
    assert total > 50
    for number in range(1, total + 1):
        faults = FailAt(number, moment)
        world, workflow_id = run_world(faults)
        faults.armed = False
        settle(world)
        check(world, workflow_id)
        assert world.status(workflow_id) is WorkflowStatus.FAILED
        assert world.node_statuses(workflow_id, *NAMES) == ENDS


@pytest.mark.parametrize("moment", ["before", "after"])
def test_so_does_one_that_is_cancelled(moment: str) -> None:
    for number in range(1, calls(cancelled=True) + 1):
        faults = FailAt(number, moment)
        world, workflow_id = run_world(faults, cancelled=True)
        faults.armed = False
        settle(world)
        check(world, workflow_id)
        assert world.status(workflow_id) in (WorkflowStatus.CANCELLED, WorkflowStatus.FAILED)
