"""Workflows: what each node's deadline is, what a child does when its parents have ended, how the whole ends.

A workflow that was started goes before one that came later, by the static key that every entry has: its nodes count as
accepted when the workflow was, however late they are unblocked. Among heads that are due, the score prefers those that
more of their workflow waits for (`unblocks`, all nodes behind it: a chain's first link holds up the whole chain, which
a count of its direct children would not show).
"""

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct

from pushlane.model.attempt import ErrorDetail
from pushlane.model.task import Status
from pushlane.model.workflow import ChildEdge, OnFailure, ParentEdge, WorkflowPlace, WorkflowStatus, node_task_id
from pushlane.model.workflow_document import Node
from pushlane.model.workflow_graph import Graph

PARENT_FAILED: Final = "ParentFailed"
PARENT_SKIPPED: Final = "ParentSkipped"


class NodeEnd(StrEnum):
    """How a node ended, as its children and the workflow keep it. `SKIPPED`: cancelled because its parents were not
    there to be built on.
    """

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    SKIPPED = "SKIPPED"


class Next(StrEnum):
    """What a child does now."""

    WAIT = "wait"
    RUN = "run"
    FAIL = "fail"
    SKIP = "skip"


class Verdict(Struct, frozen=True):
    """What a child does, and when it is dropped, as what and why."""

    next: Next
    error: ErrorDetail | None = None

    @property
    def status(self) -> Status:
        """The status of a child that is dropped."""
        return Status.CANCELLED if self.next is Next.SKIP else Status.FAILED


class Counts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many of a workflow's nodes have ended, by how."""

    nodes: int
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    expired: int = 0
    skipped: int = 0

    @property
    def ended(self) -> int:
        return self.succeeded + self.failed + self.cancelled + self.expired + self.skipped


def node_end(status: Status, error: ErrorDetail | None) -> NodeEnd:
    """How a node that is `status` ended; raises `ValueError` if it has not."""
    skipped = status is Status.CANCELLED and error is not None and error.error_type == PARENT_SKIPPED
    return NodeEnd.SKIPPED if skipped else NodeEnd(status.value)


def as_status(end: NodeEnd) -> Status:
    """The task status that goes with it."""
    return Status.CANCELLED if end is NodeEnd.SKIPPED else Status(end.value)


def verdict(edges: Sequence[ParentEdge], ended: Mapping[int, NodeEnd]) -> Verdict:
    """What a child does, `ended` saying by place among `edges` how those parents ended that have.

    It fails as soon as a parent that it cannot do without has failed. Otherwise it waits for all of them: then it is
    skipped if an edge says so, or if a parent was skipped itself (unless the edge says `continue`); else it runs.
    """
    known = [(edge, ended[position]) for position, edge in enumerate(edges) if position in ended]
    broken = [(edge, end) for edge, end in known if not carries_on(edge.on_failure, end)]
    failed = [(edge, end) for edge, end in broken if fails(edge.on_failure, end)]
    if failed:
        return Verdict(Next.FAIL, _because(PARENT_FAILED, "cannot run", *failed[0]))
    if len(known) < len(edges):
        return Verdict(Next.WAIT)
    if broken:
        return Verdict(Next.SKIP, _because(PARENT_SKIPPED, "skipped", *broken[0]))
    return Verdict(Next.RUN)


def carries_on(on_failure: OnFailure, end: NodeEnd) -> bool:
    """Whether a child can run after a parent that ended so."""
    return end is NodeEnd.SUCCEEDED or on_failure is OnFailure.CONTINUE


def fails(on_failure: OnFailure, end: NodeEnd) -> bool:
    """Whether a child fails at once when a parent ended so, whatever becomes of the others."""
    return not carries_on(on_failure, end) and on_failure is OnFailure.FAIL and end is not NodeEnd.SKIPPED


def _because(error_type: str, what: str, edge: ParentEdge, end: NodeEnd) -> ErrorDetail:
    message = f"{what}: parent {edge.node!r} ({edge.task_id}) ended as {end}, and the edge says {edge.on_failure}"
    return ErrorDetail(error_type=error_type, message=message, retryable=False)


def outcome(nodes: int, tolerated: Collection[int], ends: Mapping[int, NodeEnd]) -> WorkflowStatus | None:
    """How a workflow of so many nodes has ended; None while one of them has not.

    SUCCEEDED: every node succeeded, or ended otherwise and was continued past. Skipped ones do not count: what they
    were skipped for does. FAILED: anything else.
    """
    if len(ends) < nodes:
        return None
    fine = (NodeEnd.SUCCEEDED, NodeEnd.SKIPPED)
    failed = any(end not in fine and place not in tolerated for place, end in ends.items())
    return WorkflowStatus.FAILED if failed else WorkflowStatus.SUCCEEDED


def tolerated_of(nodes: Sequence[Node], graph: Graph) -> tuple[int, ...]:
    """The places of those nodes that the workflow may succeed without: they have children, and every one of these
    continues past them.
    """
    needed = {
        parent
        for node, parents in zip(nodes, graph.parents, strict=True)
        for edge, parent in zip(node.edges, parents, strict=True)
        if edge.on_failure is not OnFailure.CONTINUE
    }
    return tuple(place for place, children in enumerate(graph.children) if children and place not in needed)


def counts_of(nodes: int, ends: Mapping[int, NodeEnd]) -> Counts:
    """The ended nodes, counted."""
    by = [list(ends.values()).count(end) for end in NodeEnd]
    return Counts(nodes=nodes, succeeded=by[0], failed=by[1], cancelled=by[2], expired=by[3], skipped=by[4])


def deadlines(nodes: Sequence[Node], graph: Graph, deadline_ms: int | None) -> tuple[int | None, ...]:
    """When each node has to have ended (Unix ms), so that what waits for it can still make its own: the workflow's
    deadline, and every node's own, carried backward along the longest path of estimated runtimes.
    """
    due: list[int | None] = [None] * len(nodes)
    for place in reversed(graph.order):
        bounds = [deadline_ms, nodes[place].deadline_ms]
        for child in graph.children[place]:
            bound = due[child]
            bounds.append(None if bound is None else max(0, bound - _runtime_ms(nodes[child])))
        due[place] = min((bound for bound in bounds if bound is not None), default=None)
    return tuple(due)


def _runtime_ms(node: Node) -> int:
    return round(node.estimate.runtime_seconds * 1_000)


def unblocks(graph: Graph) -> tuple[int, ...]:
    """How many nodes wait for each, directly or not."""
    behind = [0] * len(graph.order)  # a set of places as the bits of one integer
    for place in reversed(graph.order):
        for child in graph.children[place]:
            behind[place] |= behind[child] | (1 << child)
    return tuple(one.bit_count() for one in behind)


def places(workflow_id: str, nodes: Sequence[Node], graph: Graph) -> tuple[WorkflowPlace, ...]:
    """Where each node stands, as its task carries it."""
    ids = [node_task_id(workflow_id, node.name) for node in nodes]
    behind = unblocks(graph)
    children: list[list[ChildEdge]] = [[] for _ in nodes]
    for child, node in enumerate(nodes):
        above = graph.parents[child]
        for position, (edge, parent) in enumerate(zip(node.edges, above, strict=True)):
            children[parent].append(ChildEdge(node.name, position, len(above), edge.on_failure))
    return tuple(
        WorkflowPlace(
            workflow_id=workflow_id,
            node=node.name,
            index=place,
            nodes=len(nodes),
            parents=tuple(
                ParentEdge(edge.node, ids[parent], edge.on_failure)
                for edge, parent in zip(node.edges, graph.parents[place], strict=True)
            ),
            children=tuple(children[place]),
            unblocks=behind[place],
        )
        for place, node in enumerate(nodes)
    )
