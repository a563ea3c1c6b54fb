"""From a path to the operations there: one walk down a tree of segments, literal ones before named ones."""

from collections.abc import Iterable, Mapping
from typing import Final

from pushlane.api.operations import Operation

_ANY: Final = ""


class Found:
    """The operations of one path by method, and what the path says for their named segments, in order."""

    def __init__(self, operations: Mapping[str, Operation], values: tuple[str, ...]) -> None:
        self.operations = operations
        self._values = values

    def path_of(self, operation: Operation) -> dict[str, str]:
        """The named segments of the operation's own path."""
        return dict(zip(names_of(operation.path), self._values, strict=True))


class _Place:
    def __init__(self) -> None:
        self.below: dict[str, _Place] = {}
        self.operations: dict[str, Operation] = {}


class Routes:
    """All operations, by path and method. Raises `ValueError` for two with the same."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._root = _Place()
        for operation in operations:
            place = self._root
            for segment in segments_of(operation.path):
                place = place.below.setdefault(_ANY if segment.startswith("{") else segment, _Place())
            if operation.method in place.operations:
                raise ValueError(f"{operation.method} {operation.path} stands twice among the operations")
            place.operations[operation.method] = operation

    def find(self, path: str) -> Found | None:
        """The operations of a path; None when nothing is there."""
        place, values = self._root, list[str]()
        for segment in segments_of(path):
            below = place.below.get(segment) if segment else None
            if below is None:
                below = place.below.get(_ANY)
                values.append(segment)
            if below is None:
                return None
            place = below
        return Found(place.operations, tuple(values)) if place.operations else None


def segments_of(path: str) -> list[str]:
    return path.removeprefix("/").split("/")


def names_of(path: str) -> list[str]:
    """The names of the named segments: `/v1/tasks/{task_id}` has `task_id`."""
    return [segment[1:-1] for segment in segments_of(path) if segment.startswith("{")]
