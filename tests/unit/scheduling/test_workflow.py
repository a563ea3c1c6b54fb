"""Workflows: deadlines along the longest path, what a child does when its parents have ended, how the whole ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.model.attempt import ErrorDetail
from pushlane.model.task import Status
from pushlane.model.workflow import OnFailure, ParentEdge, WorkflowStatus, node_task_id
from pushlane.model.workflow_document import Node
from pushlane.model.workflow_graph import graph_of
from pushlane.scheduling.workflow import (
    PARENT_SKIPPED,
    Next,
    NodeEnd,
    as_status,
    counts_of,
    deadlines,
    node_end,
    outcome,
    places,
    tolerated_of,
    unblocks,
    verdict,
)
from tests.unit.model.workflows import dags, node, nodes

FAIL, SKIP, CONTINUE = OnFailure.FAIL, OnFailure.SKIP, OnFailure.CONTINUE


def edges(*policies: OnFailure) -> list[ParentEdge]:
    return [ParentEdge(f"p{number}", f"t-{number}", policy) for number, policy in enumerate(policies)]


@pytest.mark.parametrize(
    ("policies", "ended", "said"),
    [
        ([], {}, Next.RUN),
        ([FAIL, FAIL], {0: NodeEnd.SUCCEEDED}, Next.WAIT),
        ([FAIL, FAIL], {0: NodeEnd.SUCCEEDED, 1: NodeEnd.SUCCEEDED}, Next.RUN),
        ([FAIL, FAIL], {1: NodeEnd.FAILED}, Next.FAIL),
        ([FAIL], {0: NodeEnd.EXPIRED}, Next.FAIL),
        ([FAIL], {0: NodeEnd.CANCELLED}, Next.FAIL),
        ([FAIL], {0: NodeEnd.SKIPPED}, Next.SKIP),
        ([SKIP, FAIL], {0: NodeEnd.FAILED}, Next.WAIT),
        ([SKIP, FAIL], {0: NodeEnd.FAILED, 1: NodeEnd.SUCCEEDED}, Next.SKIP),
        ([SKIP, FAIL], {0: NodeEnd.FAILED, 1: NodeEnd.FAILED}, Next.FAIL),
        ([CONTINUE], {0: NodeEnd.FAILED}, Next.RUN),
        ([CONTINUE, CONTINUE], {0: NodeEnd.FAILED}, Next.WAIT),
        ([CONTINUE], {0: NodeEnd.SKIPPED}, Next.RUN),
    ],
)
def test_what_a_child_does(policies: list[OnFailure], ended: dict[int, NodeEnd], said: Next) -> None:
    assert verdict(edges(*policies), ended).next is said


def test_a_dropped_child_says_because_of_whom() -> None:
    failed = verdict(edges(CONTINUE, FAIL), {0: NodeEnd.FAILED, 1: NodeEnd.EXPIRED})
    assert failed.status is Status.FAILED
    assert failed.error == ErrorDetail(
        error_type="ParentFailed",
        message="cannot run: parent 'p1' (t-1) ended as EXPIRED, and the edge says fail",
        retryable=False,
    )
    skipped = verdict(edges(SKIP), {0: NodeEnd.FAILED})
    assert skipped.status is Status.CANCELLED
    assert skipped.error is not None
    assert skipped.error.error_type == PARENT_SKIPPED
    assert node_end(skipped.status, skipped.error) is NodeEnd.SKIPPED
    assert as_status(NodeEnd.SKIPPED) is Status.CANCELLED


@given(st.lists(st.tuples(st.sampled_from(OnFailure), st.sampled_from(NodeEnd)), max_size=5), st.data())
def test_the_order_in_which_parents_end_changes_nothing(
    said: list[tuple[OnFailure, NodeEnd]], data: st.DataObject
) -> None:
    above = edges(*(policy for policy, _ in said))
    ends = {position: end for position, (_, end) in enumerate(said)}
    last = verdict(above, ends)
    known: dict[int, NodeEnd] = {}
    for position in data.draw(st.permutations(list(ends))):
        before = verdict(above, known).next
        assert before in (Next.WAIT, last.next)
        known[position] = ends[position]
    assert last.next is not Next.WAIT


def test_a_node_that_has_not_ended_has_no_end() -> None:
    with pytest.raises(ValueError, match="PARKED"):
        node_end(Status.PARKED, None)
    assert node_end(Status.CANCELLED, ErrorDetail(error_type="Cancelled", message="")) is NodeEnd.CANCELLED


DIAMOND = nodes(
    node("a", estimate={"runtime_seconds": 1}),
    node("b", "a", estimate={"runtime_seconds": 10}),
    node("c", "a", estimate={"runtime_seconds": 2}),
    node("d", "b", {"node": "c", "on_failure": "continue"}, estimate={"runtime_seconds": 4}),
)


def test_deadlines_are_carried_back_along_the_longest_path() -> None:
    assert deadlines(DIAMOND, graph_of(DIAMOND), 100_000) == (86_000, 96_000, 96_000, 100_000)
    assert deadlines(DIAMOND, graph_of(DIAMOND), None) == (None, None, None, None)
    assert deadlines(DIAMOND, graph_of(DIAMOND), 5_000) == (0, 1_000, 1_000, 5_000)


def test_a_nodes_own_deadline_counts_for_those_before_it_only() -> None:
    own = nodes(node("a"), node("b", "a", deadline_ms=50_000, estimate={"runtime_seconds": 10}), node("c", "b"))
    assert deadlines(own, graph_of(own), None) == (40_000, 50_000, None)


@given(dags(), st.integers(0, 10**9))
def test_no_deadline_leaves_less_than_the_runtimes_behind_it(described: tuple[Node, ...], deadline_ms: int) -> None:
    graph = graph_of(described)
    due = deadlines(described, graph, deadline_ms)
    for place, children in enumerate(graph.children):
        mine = due[place]
        assert mine is not None
        left = [max(0, (due[c] or 0) - round(described[c].estimate.runtime_seconds * 1_000)) for c in children]
        assert mine == min([deadline_ms, *left])


@given(dags())
def test_every_node_counts_those_that_wait_for_it(described: tuple[Node, ...]) -> None:
    graph = graph_of(described)
    for place, count in enumerate(unblocks(graph)):
        behind, edge = set[int](), [place]
        while edge:
            new = [child for one in edge for child in graph.children[one] if child not in behind]
            behind.update(new)
            edge = new
        assert count == len(behind)


@given(dags())
def test_both_ends_of_an_edge_know_the_same_of_it(described: tuple[Node, ...]) -> None:
    all_places = {one.node: one for one in places("w-1", described, graph_of(described))}
    ends = [(parent, edge) for parent in all_places.values() for edge in parent.children]
    assert len(ends) == sum(len(one.parents) for one in all_places.values())
    for parent, edge in ends:
        above = all_places[edge.node].parents
        assert edge.parents == len(above)
        assert above[edge.position] == ParentEdge(parent.node, node_task_id("w-1", parent.node), edge.on_failure)


def test_a_workflow_ends_with_its_last_node() -> None:
    fine = dict.fromkeys(range(4), NodeEnd.SUCCEEDED)
    tolerated = tolerated_of(DIAMOND, graph_of(DIAMOND))
    assert tolerated == (2,)
    assert outcome(4, tolerated, fine | {}) is WorkflowStatus.SUCCEEDED
    assert outcome(4, tolerated, {0: NodeEnd.FAILED}) is None
    assert outcome(4, tolerated, fine | {2: NodeEnd.FAILED}) is WorkflowStatus.SUCCEEDED
    assert outcome(4, tolerated, fine | {3: NodeEnd.FAILED}) is WorkflowStatus.FAILED
    assert outcome(4, tolerated, fine | {0: NodeEnd.EXPIRED}) is WorkflowStatus.FAILED
    assert outcome(4, tolerated, fine | {3: NodeEnd.SKIPPED}) is WorkflowStatus.SUCCEEDED


def test_ends_are_counted_by_kind() -> None:
    counts = counts_of(5, {0: NodeEnd.SUCCEEDED, 1: NodeEnd.SKIPPED, 2: NodeEnd.FAILED, 3: NodeEnd.SUCCEEDED})
    assert (counts.nodes, counts.ended, counts.succeeded, counts.failed, counts.skipped) == (5, 4, 2, 1, 1)
