"""What a graph has to remember between attempts, as JSON: the newest checkpoint of each of its namespaces."""

import threading
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

ROOT: Final = ""
# `node:task` is the namespace of a subgraph that runs in one task of one step.
_OF_A_TASK: Final = ":"


class Packed(Struct, frozen=True, array_like=True):
    """A value in the form of the graph's serializer."""

    kind: str
    content: bytes


class PackedWrite(Struct, frozen=True, array_like=True):
    """What a node has written, before its step is over."""

    task_id: str
    index: int
    path: str
    channel: str
    value: Packed


class Place(Struct, kw_only=True):
    """The newest checkpoint of one namespace, and what was written since."""

    checkpoint_id: str
    parent_id: str | None
    checkpoint: Packed
    metadata: Packed
    writes: list[PackedWrite] = []


class Remembered(Struct, kw_only=True):
    """`answers` to interrupts by their ids, each valid until its node asks again; `asked`: which were emitted."""

    places: dict[str, Place] = {}
    answers: dict[str, dict[str, Any]] = {}
    asked: list[str] = []


class GraphMemory:
    """Written by the graph's threads, read by the attempt's. `changed` since it was last read as a whole."""

    def __init__(self, restored: Mapping[str, Any] | None) -> None:
        self._lock = threading.Lock()
        self._remembered = msgspec.convert(restored or {}, Remembered)
        self.changed = False

    @property
    def begun(self) -> bool:
        return ROOT in self._remembered.places

    @property
    def answers(self) -> Mapping[str, dict[str, Any]]:
        return self._remembered.answers

    def state(self) -> dict[str, Any]:
        """All of it, as a JSON object."""
        with self._lock:
            self.changed = False
            state: dict[str, Any] = msgspec.to_builtins(self._remembered)
            return state

    def place(self, namespace: str, checkpoint_id: str | None) -> Place | None:
        """The newest checkpoint, or None if another one is asked for."""
        with self._lock:
            found = self._remembered.places.get(namespace)
            if found is None or checkpoint_id not in (None, found.checkpoint_id):
                return None
            return msgspec.structs.replace(found, writes=list(found.writes))

    def namespaces(self) -> list[str]:
        with self._lock:
            return list(self._remembered.places)

    def put(self, namespace: str, place: Place) -> None:
        """A step has ended. When it was the whole graph's, so have its tasks, with their subgraphs and questions."""
        with self._lock:
            if namespace == ROOT:
                kept = {name: one for name, one in self._remembered.places.items() if _OF_A_TASK not in name}
                self._remembered = Remembered(places=kept)
            self._remembered.places[namespace] = place
            self.changed = True

    def put_writes(self, namespace: str, checkpoint_id: str, writes: list[PackedWrite], asks: list[str]) -> None:
        """A node has ended, or `asks` (ids of interrupts); a write that is there stays, but special ones are newer."""
        with self._lock:
            place = self._remembered.places.get(namespace)
            if place is not None and place.checkpoint_id == checkpoint_id:
                new = {(one.task_id, one.index) for one in writes}
                old = [one for one in place.writes if one.index >= 0 or (one.task_id, one.index) not in new]
                known = {(one.task_id, one.index) for one in old}
                place.writes = old + [one for one in writes if (one.task_id, one.index) not in known]
            for interrupt_id in asks:
                self._remembered.answers.pop(interrupt_id, None)
            self._remembered.asked = [one for one in self._remembered.asked if one not in asks]
            self.changed = True

    def forget_all(self) -> None:
        with self._lock:
            self._remembered = Remembered()
            self.changed = True

    def ask(self, interrupt_id: str) -> bool:
        """Whether this question is to be told now: it was not before."""
        with self._lock:
            new = interrupt_id not in self._remembered.asked
            if new:
                self._remembered.asked.append(interrupt_id)
                self.changed = True
            return new

    def answer(self, answers: dict[str, dict[str, Any]]) -> None:
        """All that is pending was answered."""
        with self._lock:
            self._remembered.answers = answers
            self.changed = True
