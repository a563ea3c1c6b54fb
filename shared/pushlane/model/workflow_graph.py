"""The graph of a workflow's nodes, by their places in the document; refused where it is none that can ever end."""

from collections import deque
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from pushlane.model.errors import InvalidEvent
from pushlane.model.workflow_document import EDGES_MAX, NODES_MAX, TASKS_PATH, Node

_NAMED_MAX: Final = 8


class CyclicWorkflow(InvalidEvent):
    """Some nodes wait for each other. `cycle` names them, each depends on the next, the last is the first again."""

    def __init__(self, field: str, cycle: tuple[str, ...]) -> None:
        reason = f"`{_shortened(cycle)}` is a cycle, each depends on the next: remove one of these edges"
        super().__init__(field, reason, "cycle")
        self.cycle = cycle


class Graph(Struct, frozen=True):
    """`parents[i]` and `children[i]` are the places of node i's; `order` has every parent before its children."""

    parents: tuple[tuple[int, ...], ...]
    children: tuple[tuple[int, ...], ...]
    order: tuple[int, ...]

    @property
    def roots(self) -> tuple[int, ...]:
        """Nodes that wait for nothing."""
        return tuple(place for place, parents in enumerate(self.parents) if not parents)


def graph_of(nodes: Sequence[Node]) -> Graph:
    """The graph of the nodes; raises `InvalidEvent` naming the edge: two of one name, a parent that is not there or is
    named twice, too many edges, or (`CyclicWorkflow`) a cycle.
    """
    places = _places(nodes)
    parents = tuple(_parents(place, node, places) for place, node in enumerate(nodes))
    if (edges := sum(map(len, parents))) > EDGES_MAX:
        reason = f"{edges} edges in all, at most {EDGES_MAX}: let nodes that share parents wait for one node between"
        raise InvalidEvent(TASKS_PATH, reason, "oversize")
    children: list[list[int]] = [[] for _ in nodes]
    for place, above in enumerate(parents):
        for parent in above:
            children[parent].append(place)
    order = _order(parents, children)
    if len(order) < len(nodes):
        raise _cyclic(nodes, parents, order)
    return Graph(parents, tuple(map(tuple, children)), order)


def _places(nodes: Sequence[Node]) -> dict[str, int]:
    if not 0 < len(nodes) <= NODES_MAX:
        raise InvalidEvent(TASKS_PATH, f"{len(nodes)} nodes; a workflow has 1 to {NODES_MAX}: split it", "oversize")
    places: dict[str, int] = {}
    for place, node in enumerate(nodes):
        if (first := places.setdefault(node.name, place)) != place:
            reason = f"{node.name!r} is the name of tasks[{first}] already: give each node its own"
            raise InvalidEvent(f"{TASKS_PATH}[{place}].name", reason, "duplicate_node")
    return places


def _parents(place: int, node: Node, places: dict[str, int]) -> tuple[int, ...]:
    found: dict[int, None] = {}
    for number, edge in enumerate(node.edges):
        parent = places.get(edge.node)
        if parent is None:
            reason = f"no node of this workflow is called {edge.node!r}: add it, or remove the edge"
            raise InvalidEvent(_edge_path(node, place, number), reason, "unknown_parent")
        if parent == place:
            reason = f"{node.name!r} depends on itself: remove the edge"
            raise InvalidEvent(_edge_path(node, place, number), reason, "self_edge")
        if parent in found:
            reason = f"{edge.node!r} is named twice: keep one edge"
            raise InvalidEvent(_edge_path(node, place, number), reason, "duplicate_edge")
        found[parent] = None
    return tuple(found)


def _edge_path(node: Node, place: int, number: int) -> str:
    plain = isinstance(node.depends_on[number], str)
    return f"{TASKS_PATH}[{place}].depends_on[{number}]" + ("" if plain else ".node")


def _order(parents: Sequence[Sequence[int]], children: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Kahn's algorithm (1962): all nodes, or those that no cycle holds up."""
    missing = [len(above) for above in parents]
    ready = deque(place for place, above in enumerate(missing) if not above)
    order: list[int] = []
    while ready:
        order.append(place := ready.popleft())
        for child in children[place]:
            missing[child] -= 1
            if not missing[child]:
                ready.append(child)
    return tuple(order)


def _cyclic(nodes: Sequence[Node], parents: Sequence[Sequence[int]], order: Sequence[int]) -> CyclicWorkflow:
    """Every node that is left has a parent that is left, so going from parent to parent comes round."""
    left = set(range(len(nodes))).difference(order)
    trail: dict[int, int] = {}
    place = min(left)
    while place not in trail:
        trail[place] = len(trail)
        place = next(parent for parent in parents[place] if parent in left)
    around = [*list(trail)[trail[place] :], place]
    first, second = around[0], around[1]
    path = _edge_path(nodes[first], first, parents[first].index(second))
    return CyclicWorkflow(path, tuple(nodes[one].name for one in around))


def _shortened(names: Sequence[str]) -> str:
    if len(names) <= _NAMED_MAX:
        return " -> ".join(names)
    half = _NAMED_MAX // 2
    between = len(names) - 2 * half
    return " -> ".join([*names[:half], f"({between} more)", *names[-half:]])
