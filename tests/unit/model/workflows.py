"""Workflows for tests: written as a producer writes them, and drawn at random."""

from typing import Any

import msgspec
from hypothesis import strategies as st

from pushlane.model.workflow_document import Node, Nodes, SubmitWorkflow

NODES_MAX = 12


def node(name: str, *after: Any, **fields: Any) -> dict[str, Any]:
    return {"name": name, "task_type": "echo", "depends_on": list(after), **fields}


def nodes(*described: dict[str, Any]) -> tuple[Node, ...]:
    return msgspec.convert(list(described), Nodes)


def workflow_envelope(*described: dict[str, Any], **data: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "SubmitWorkflow", "version": 1},
        "data": {"tenant_id": "atlas", "tasks": list(described), **data},
    }


def submitted(*described: dict[str, Any], **data: Any) -> SubmitWorkflow:
    return msgspec.convert(workflow_envelope(*described, **data), SubmitWorkflow)


def chain(length: int) -> list[dict[str, Any]]:
    return [node(f"n{place}", *([f"n{place - 1}"] if place else [])) for place in range(length)]


@st.composite
def any_edges(draw: st.DrawFn) -> tuple[Node, ...]:
    """Nodes with any edges between them but to themselves: some have cycles, some do not."""
    names = [f"n{place}" for place in range(draw(st.integers(1, NODES_MAX)))]
    described = []
    for name in names:
        others = [other for other in names if other != name]
        after = draw(st.lists(st.sampled_from(others), unique=True, max_size=3)) if others else []
        described.append(node(name, *after))
    return nodes(*described)


@st.composite
def dags(draw: st.DrawFn) -> tuple[Node, ...]:
    """Nodes that depend only on some before them, in any order of the document, on any edge policy."""
    names = draw(st.permutations([f"n{place}" for place in range(draw(st.integers(1, NODES_MAX)))]))
    described = []
    for place, name in enumerate(names):
        after = draw(st.lists(st.sampled_from(names[:place]), unique=True, max_size=4)) if place else []
        edges = [{"node": one, "on_failure": draw(st.sampled_from(["fail", "skip", "continue"]))} for one in after]
        runtime = draw(st.sampled_from([0.5, 1.0, 30.0]))
        described.append(node(name, *edges, estimate={"runtime_seconds": runtime}))
    return nodes(*draw(st.permutations(described)))
