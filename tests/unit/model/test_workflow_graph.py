"""Workflows that can end have an order; the others are refused, and told why."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given

from pushlane.model.errors import InvalidEvent
from pushlane.model.workflow_document import EDGES_MAX, NODES_MAX, Node
from pushlane.model.workflow_graph import CyclicWorkflow, graph_of
from tests.unit.model.workflows import any_edges, chain, dags, node, nodes


def refused(*described: dict[str, Any]) -> InvalidEvent:
    with pytest.raises(InvalidEvent) as raised:
        graph_of(nodes(*described))
    return raised.value


def test_a_diamond_has_parents_children_roots_and_an_order() -> None:
    graph = graph_of(nodes(node("d", "b", "c"), node("b", "a"), node("c", "a"), node("a")))
    assert graph.parents == ((1, 2), (3,), (3,), ())
    assert graph.children == ((), (0,), (0,), (1, 2))
    assert graph.order == (3, 1, 2, 0)
    assert graph.roots == (3,)


def test_a_cycle_is_named_from_an_edge_that_is_in_it() -> None:
    error = refused(node("start"), node("a", "start", "c"), node("b", "a"), node("c", {"node": "b"}))
    assert error.code == "cycle"
    assert error.field == "$.data.tasks[1].depends_on[1]"
    assert error.reason == "`a -> c -> b -> a` is a cycle, each depends on the next: remove one of these edges"


def test_nodes_behind_a_cycle_are_not_blamed() -> None:
    error = refused(node("behind", "a"), node("a", "b"), node("b", "a"))
    assert isinstance(error, CyclicWorkflow)
    assert set(error.cycle) == {"a", "b"}


def test_a_long_cycle_is_named_shortly() -> None:
    error = refused(node("n0", "n99"), *chain(100)[1:])
    assert isinstance(error, CyclicWorkflow)
    assert len(error.cycle) == 101
    assert "(93 more)" in error.reason
    assert len(error.reason) < 200


@pytest.mark.parametrize(
    ("described", "code", "field", "said"),
    [
        ([node("a", "a")], "self_edge", "$.data.tasks[0].depends_on[0]", "depends on itself"),
        ([node("a", {"node": "a"})], "self_edge", "$.data.tasks[0].depends_on[0].node", "depends on itself"),
        ([node("a"), node("b", "a", "x")], "unknown_parent", "$.data.tasks[1].depends_on[1]", "'x'"),
        ([node("a"), node("b", "a", {"node": "a"})], "duplicate_edge", "$.data.tasks[1].depends_on[1].node", "twice"),
        ([node("a"), node("b"), node("a")], "duplicate_node", "$.data.tasks[2].name", "tasks[0]"),
    ],
)
def test_what_is_no_graph_is_refused_at_its_path(
    described: list[dict[str, Any]], code: str, field: str, said: str
) -> None:
    error = refused(*described)
    assert (error.code, error.field) == (code, field)
    assert said in error.reason


def test_the_largest_workflow_is_taken_and_one_more_node_is_not() -> None:
    assert len(graph_of(nodes(*chain(NODES_MAX))).order) == NODES_MAX
    more = tuple(Node(name=f"n{place}", task_type="echo") for place in range(NODES_MAX + 1))
    with pytest.raises(InvalidEvent, match="1001 nodes"):
        graph_of(more)


def test_too_many_edges_are_refused() -> None:
    tops = [node(f"a{place}") for place in range(150)]
    names = [one["name"] for one in tops]
    fit = EDGES_MAX // 150
    assert graph_of(nodes(*tops, *(node(f"b{place}", *names) for place in range(fit)))).roots == tuple(range(150))
    error = refused(*tops, *(node(f"b{place}", *names) for place in range(fit + 1)))
    assert (error.code, error.field) == ("oversize", "$.data.tasks")


@given(any_edges())
def test_any_nodes_have_an_order_that_respects_every_edge_or_a_cycle_that_is_one(described: tuple[Node, ...]) -> None:
    edges = {(one.name, edge.node) for one in described for edge in one.edges}
    order, cycle = ordered_or_cycle(described)
    if order is None:
        assert cycle[0] == cycle[-1]
        assert len(set(cycle)) == len(cycle) - 1
        assert all(edge in edges for edge in pairwise(cycle))
        return
    when = {name: at for at, name in enumerate(order)}
    assert len(when) == len(described)
    assert all(when[parent] < when[child] for child, parent in edges)


def ordered_or_cycle(described: tuple[Node, ...]) -> tuple[list[str] | None, tuple[str, ...]]:
    try:
        return [described[place].name for place in graph_of(described).order], ()
    except CyclicWorkflow as error:
        return None, error.cycle


@given(dags())
def test_what_has_no_cycle_is_never_refused(described: tuple[Node, ...]) -> None:
    graph = graph_of(described)
    assert sorted(graph.order) == list(range(len(described)))
    for place, children in enumerate(graph.children):
        assert all(place in graph.parents[child] for child in children)
