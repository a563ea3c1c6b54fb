"""The waterfall of a task from what is stored: the very spans that are exported, and less where less is stored."""

import msgspec
import pytest

from pushlane.model.span import Span
from pushlane.ports import Attributes, ItemStore, Key, Table
from pushlane.telemetry.task_spans import task_spans
from pushlane.testing.traces import holes, tree
from tests.unit.telemetry.traced import RUN, World


class WithoutLogs:
    """A store whose installation writes no event logs."""

    def __init__(self, store: ItemStore) -> None:
        self._store = store

    def get(self, wanted: list[Key]) -> object:
        return self._store.get(wanted)

    def query(self, table: Table, *_said: object, **_more: object) -> object:
        raise KeyError(table)


def world_with_a_retry() -> tuple[World, str]:
    world = World(slots=1)
    world.dispatcher.submit(payload={})
    task_id = world.dispatcher.submit(payload={"fails": 1})
    world.run()
    world.dispatcher.advance(10)
    assert world.dispatcher.status(task_id) == "SUCCEEDED"
    return world, task_id


def bare(spans: list[Span]) -> list[tuple[str, str, int, int | None]]:
    return sorted((one.span_id, one.name, one.start_ms, one.end_ms) for one in spans)


def test_what_is_drawn_is_what_was_exported() -> None:
    world, task_id = world_with_a_retry()
    drawn = task_spans(world.dispatcher.store, task_id)
    assert drawn[0] == world.root(task_id)
    assert bare(drawn) == bare([one for one in world.of(task_id) if not one.name.startswith("step ")])
    assert tree(drawn, drawn[0])[-9:] == [*RUN, "retrying", *RUN]


def test_an_unknown_task_has_none() -> None:
    assert task_spans(World().dispatcher.store, "t-unknown") == []


def test_a_task_that_runs_has_an_open_end() -> None:
    world = World()
    world.dispatcher.register(None, agent_id="by-hand", capabilities=("slow",))
    task_id = world.dispatcher.submit(task_type="slow")
    world.dispatcher.run_until_idle()
    root, *rest = task_spans(world.dispatcher.store, task_id)
    assert (root.end_ms, rest[-1].name, rest[-1].end_ms) == (None, "dispatch", None)
    attempt = world.dispatcher.take("by-hand")
    root, *rest = task_spans(world.dispatcher.store, task_id)
    assert (root.end_ms, rest[-1].name, rest[-1].end_ms) == (None, "run", None)
    attempt.succeed()
    world.dispatcher.run_until_idle()
    assert all(one.end_ms is not None for one in task_spans(world.dispatcher.store, task_id))


def test_a_task_that_waits_says_for_what() -> None:
    world = World()
    task_id = world.dispatcher.submit(task_type="nobody-can")
    world.dispatcher.run_until_idle()
    last = task_spans(world.dispatcher.store, task_id)[-1]
    assert (last.name, last.end_ms) == ("parked no-agent", None)


@pytest.mark.parametrize("fails", [0, 1])
def test_without_event_logs_the_last_attempt_and_the_end_are_there(fails: int) -> None:
    world = World(slots=1)
    world.dispatcher.submit(payload={})
    task_id = world.dispatcher.submit(payload={"fails": fails})
    world.run()
    world.dispatcher.advance(10)
    drawn = task_spans(WithoutLogs(world.dispatcher.store), task_id)  # type: ignore[arg-type] # it only reads
    assert tree(drawn, drawn[0])[-4:] == RUN
    assert holes(drawn, drawn[0]) == []
    assert drawn[0].end_ms == world.root(task_id).end_ms


def test_a_log_that_lags_behind_is_made_up_for() -> None:
    world = World()
    task_id = world.dispatcher.submit(payload={})
    world.clock.advance(25)
    store = world.dispatcher.store
    world.dispatcher.run_until_idle()
    stored = {key: item for key, item in _logged(store, task_id).items() if key.sk <= f"{2:012d}"}
    assert stored  # the acceptance and the dispatch; what came after is not in yet
    drawn = task_spans(store, task_id)
    assert holes(drawn, drawn[0]) == []


def _logged(store: ItemStore, task_id: str) -> dict[Key, Attributes]:
    return {item.key: item.attributes for item in store.query(Table.EVENTS, task_id, limit=100)}


def test_spans_are_values_that_travel_as_json() -> None:
    world, task_id = world_with_a_retry()
    drawn = task_spans(world.dispatcher.store, task_id)
    assert msgspec.json.decode(msgspec.json.encode(drawn), type=list[Span]) == drawn
