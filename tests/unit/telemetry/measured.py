"""Observations and changes to fold, and a store to fold them into."""

from collections.abc import Sequence
from typing import Any

from pushlane.inmemory import InMemoryItemStore, ManualClock
from pushlane.inmemory.store import Faults
from pushlane.ports import Attributes, Change, Key, Table, Write
from pushlane.state import keys
from pushlane.state.items import to_json
from pushlane.state.measures import mark_of
from pushlane.telemetry.folding import Measures
from pushlane.telemetry.observations import Observation
from pushlane.telemetry.reading import summaries
from pushlane.telemetry.report import Summary
from tests.unit.values import NOW

POOL = "default"


class Folded:
    """The fold over a store in memory, and what it logged."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.store = InMemoryItemStore(ManualClock(NOW), faults=faults)
        self.logged: list[str] = []
        self.measures = self.another()

    def another(self) -> Measures:
        """The fold of one more Lambda environment."""
        return Measures(self.store, lambda event, **_fields: self.logged.append(event))

    def summaries(self, **asked: Any) -> list[Summary]:
        return summaries(self.store, **{"from_ms": NOW - 3_600_000, "to_ms": NOW + 3_600_000, **asked})

    def figures(self) -> dict[Key, Attributes]:
        """Everything in the table."""
        return {item.key: item.attributes for item in self.store.items(Table.MEASURES)}


class LosesAnswers:
    """The n-th writes that are listed are applied, and their answer is lost; before the others nothing happens."""

    def __init__(self, error: Exception, lost: Sequence[int]) -> None:
        self._error, self._lost, self._count = error, set(lost), 0

    def before(self, name: str, operations: Sequence[Write]) -> None:
        """Nothing happens."""

    def after(self, name: str, operations: Sequence[Write]) -> None:
        if name == "write":
            self._count += 1
            if self._count in self._lost:
                raise self._error


def an_observation(number: int, pickup_ms: int = 50, **changed: Any) -> Observation:
    said: dict[str, Any] = {
        "mark": mark_of("started", f"t-{number}"),
        "tenant_id": "atlas",
        "tier": "normal",
        "task_type": "echo",
        "pool": POOL,
        "at_ms": NOW,
        "durations_ms": {"pickup": pickup_ms},
        "counts": {"started": 1},
    }
    return Observation(**{**said, **changed})


def started(
    number: int, pickup: Sequence[Any] | None, *, at_ms: int = NOW, dispatched_at_ms: int = NOW - 10, **more: Any
) -> Change:
    """The start of an attempt; `pickup`: what its reservation wrote, None for one after another that was started."""
    before: dict[str, Any] = {
        "epoch": 1,
        "tenant_id": "atlas",
        "pool": POOL,
        "agent_id": "one",
        "task_type": "echo",
        "tier": "normal",
        "dispatched_at_ms": dispatched_at_ms,
    }
    if pickup is not None:
        before["pickup"] = to_json(pickup)
    after = {**before, "runner": "r", "started_at_ms": at_ms, **more}
    return Change(keys.attempt_key(POOL, f"t-{number}"), before, after)
