"""The simulation's own parts: an invariant that cannot fail would prove nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from pushlane.inmemory import InMemoryBlobs, InMemoryItemStore, ManualClock
from pushlane.ports import Delete, Key, PublishedFact, Put, Table, Update
from pushlane.state import keys
from tests.reliability.acts import Course, Ran
from tests.reliability.audit import Audit
from tests.reliability.broken import Broken
from tests.reliability.chance import Chance
from tests.reliability.points import Standing, points, sites
from tests.reliability.queues import Queue, Queued
from tests.reliability.sabotage import DEFECTS, Defect, DoesNotApply, sabotaged
from tests.reliability.strands import Crashed, Strand

SHARED: Final = Path(__file__).resolve().parent.parent.parent / "shared"
TASK: Final = keys.task_key("t-1")
ATTEMPT: Final = Key(Table.ATTEMPTS, "default#0", "t-1")
AGENT: Final = keys.agent_key("default", "one")
ENTRY: Final = Key(Table.SCHEDULER, "Q#default#shape#normal#atlas", "A#0000000000001#t-1")
LANE: Final = Key(Table.SCHEDULER, "LANES#default#shape", "normal#atlas")
SHAPE: Final = Key(Table.SCHEDULER, "POOL#default", "SHAPE#shape")
HELD: Final = '{"agent_id":"one","agent_pool":"default","tenant_id":"atlas","tier":"normal","reserved_at_ms":1}'
DONE: Final = '{"kind":"succeeded","started_at_ms":1,"finished_at_ms":2,"result":{"by":"call","epoch":1}}'


class Scene:
    """A store with one dispatched task, watched."""

    def __init__(self) -> None:
        self.clock = ManualClock(1_000)
        self.audit = Audit(InMemoryBlobs(), self.clock.now_ms)
        self.store = InMemoryItemStore(self.clock, change_listener=self.audit.note)
        self.tokens = 0
        self.commit(
            Put(TASK, {"status": "DISPATCHED", "epoch": 1, "body": "{}"}),
            Put(ATTEMPT, {"epoch": 1, "reservation": HELD, "lease_until_ms": 5_000}),
            Put(AGENT, {"used": 1}),
        )

    def commit(self, *operations: Put | Update | Delete) -> None:
        self.tokens += 1
        self.store.transact(operations, f"token-{self.tokens}")
        self.audit.settle()

    @property
    def broken(self) -> set[Broken]:
        return {one.kind for one in self.audit.violations}


def test_a_dispatched_task_with_its_attempt_breaks_nothing() -> None:
    assert Scene().broken == set()


def test_a_task_whose_attempt_is_gone_is_lost() -> None:
    scene = Scene()
    scene.clock.advance(10_000)
    scene.commit(Delete(ATTEMPT), Update(AGENT, add={"used": -1}))
    assert scene.broken == {Broken.LOST}


def test_a_task_whose_row_is_gone_is_lost() -> None:
    scene = Scene()
    scene.commit(Delete(TASK))
    assert scene.broken == {Broken.LOST}


def test_a_slot_that_nobody_holds_is_leaked() -> None:
    scene = Scene()
    scene.commit(Update(AGENT, add={"used": 1}))
    assert scene.broken == {Broken.LEAKED}


def test_a_slot_that_is_released_twice_is_a_double_effect() -> None:
    scene = Scene()
    scene.commit(Update(AGENT, add={"used": -1}))
    assert scene.broken == {Broken.DOUBLE_EFFECTS}


def test_a_place_beside_the_attempt_is_leaked() -> None:
    scene = Scene()
    delayed = keys.delayed_key("default", 5, "t-1")
    scene.commit(Put(delayed, {"entry": "{}"}))
    assert scene.broken == {Broken.LEAKED}


def test_an_attempt_that_is_ended_within_its_lease_without_a_word_is_stale() -> None:
    scene = Scene()
    retrying = Update(TASK, set={"status": "RETRYING"})
    delayed = Put(keys.delayed_key("default", 5, "t-1"), {"entry": "{}"})
    scene.commit(Delete(ATTEMPT), Update(AGENT, add={"used": -1}), retrying, delayed)
    assert scene.broken == {Broken.STALE_ACCEPTED}


def test_another_result_than_the_attempts_own_is_stale() -> None:
    scene = Scene()
    scene.commit(Update(ATTEMPT, set={"runner": "call"}))
    scene.commit(Update(ATTEMPT, set={"outcome": DONE, "outcome_digest": "d"}))
    ended = Update(TASK, set={"status": "SUCCEEDED", "result": '{"by":"other"}'})
    scene.commit(Delete(ATTEMPT), Update(AGENT, add={"used": -1}), ended)
    assert scene.broken == {Broken.STALE_ACCEPTED}


def test_a_word_of_another_than_the_runner_is_stale() -> None:
    scene = Scene()
    scene.commit(Update(ATTEMPT, set={"runner": "somebody"}))
    scene.commit(Update(ATTEMPT, set={"outcome": DONE, "outcome_digest": "d"}))
    assert scene.broken == {Broken.STALE_ACCEPTED}


def test_a_second_runner_and_a_second_completion_are_double_effects() -> None:
    for change in ({"runner": "other"}, {"outcome_digest": "e"}):
        scene = Scene()
        scene.commit(Update(ATTEMPT, set={"runner": "call"}))
        scene.commit(Update(ATTEMPT, set={"outcome": DONE, "outcome_digest": "d"}))
        scene.commit(Update(ATTEMPT, set=change))
        assert scene.broken == {Broken.DOUBLE_EFFECTS}


def test_a_task_that_leaves_its_terminal_state_is_a_double_effect() -> None:
    scene = Scene()
    scene.clock.advance(10_000)
    scene.commit(Delete(ATTEMPT), Update(AGENT, add={"used": -1}), Update(TASK, set={"status": "FAILED"}))
    scene.commit(Update(TASK, set={"status": "CANCELLED"}))
    assert scene.broken == {Broken.DOUBLE_EFFECTS}


def test_two_different_terminal_facts_are_a_double_effect_and_one_repeated_is_not() -> None:
    audit = Audit(InMemoryBlobs(), lambda: 0)
    fact = '{"metadata":{"name":"TaskFailed","fact_id":"%s"},"data":{"task_id":"t-1"}}'
    audit.published([PublishedFact("TaskFailed", fact % one, {}) for one in ("a", "a")])
    assert audit.violations == []
    audit.published([PublishedFact("TaskFailed", fact % "b", {})])
    assert [one.kind for one in audit.violations] == [Broken.DOUBLE_EFFECTS]


def parked(scene: Scene, lane: dict[str, Any], lanes: int) -> None:
    scene.clock.advance(10_000)
    scene.commit(
        Update(TASK, set={"status": "PARKED"}),
        Delete(ATTEMPT),
        Update(AGENT, add={"used": -1}),
        Put(ENTRY, {"entry": "{}"}),
        Put(LANE, lane),
        Put(SHAPE, {"lanes_normal": lanes}),
    )


def test_a_lane_that_is_listed_and_counted_breaks_nothing() -> None:
    scene = Scene()
    parked(scene, {"depth": 1, "turn_key": "2#0"}, 1)
    assert scene.broken == set()


@pytest.mark.parametrize(
    ("lane", "lanes", "broken"),
    [
        ({"depth": 1}, 1, Broken.LOST),  # in no list
        ({"depth": 0, "turn_key": "2#0"}, 1, Broken.LOST),  # believed to be empty
        ({"depth": 2, "turn_key": "2#0"}, 1, Broken.LEAKED),
        ({"depth": 1, "turn_key": "2#0"}, 0, Broken.LOST),
        ({"depth": 1, "turn_key": "2#0"}, 2, Broken.LEAKED),
    ],
)
def test_a_lane_that_hides_a_task_or_counts_one_that_is_not_there(
    lane: dict[str, Any], lanes: int, broken: Broken
) -> None:
    scene = Scene()
    parked(scene, lane, lanes)
    assert scene.broken == {broken}


def test_progress_that_is_lost_or_repeated_is_noticed() -> None:
    scene = Scene()
    scene.commit(Update(ATTEMPT, set={"checkpoint": '{"n":1}'}))
    scene.audit.words.restored("t-1", 1, 1)
    assert scene.broken == set()
    scene.audit.words.restored("t-1", 1, 0)
    assert scene.broken == {Broken.LOST}
    scene.commit(Update(ATTEMPT, set={"checkpoint": '{"n":5}'}))
    assert scene.broken == {Broken.LOST, Broken.STALE_ACCEPTED}


def test_what_was_accepted_and_never_told_is_lost() -> None:
    scene = Scene()
    scene.audit.close()
    assert scene.broken == {Broken.LOST}


def ran(seed: int, change: Callable[[Course], None] = lambda _course: None) -> Ran:
    course = Course(seed, Standing(sites()), points())
    change(course)
    return course.run()


def test_a_world_replays_from_its_seed() -> None:
    first, second = ran(7), ran(7)
    assert (first.tasks, first.events, first.calls, first.faults) == (
        second.tasks,
        second.events,
        second.calls,
        second.faults,
    )
    assert first.violations == []


def test_a_world_that_delivers_nothing_is_stuck() -> None:
    def nothing_is_delivered(course: Course) -> None:
        course.deliveries.queue = lambda queue: queue.hide(  # type: ignore[method-assign]  # the defect of this test
            list(queue.messages.values()), course.world.clock.now_ms() + 10**9
        )

    said = ran(9, nothing_is_delivered)
    assert {one.kind for one in said.violations} == {Broken.STUCK}


def test_every_defect_applies_to_the_code_as_it_is() -> None:
    for defect in DEFECTS:
        with sabotaged(defect, SHARED) as copy:
            assert (copy / "pushlane" / defect.file).read_text() != (SHARED / "pushlane" / defect.file).read_text()
    assert len(DEFECTS) >= 25
    assert len({defect.name for defect in DEFECTS}) == len(DEFECTS)


def test_a_defect_whose_text_has_gone_is_refused() -> None:
    gone = Defect(name="gone", file="ports/store.py", old="no such text", new="")
    with pytest.raises(DoesNotApply, match="0 times"), sabotaged(gone, SHARED):
        pass


def test_call_sites_are_found_in_the_code() -> None:
    found = sites()
    assert {one.call for one in found} >= {"store.transact", "sender.send", "sink.publish", "blobs.put", "blobs.get"}
    assert len(points()) == 3 * len(found) > 150


def test_a_strand_stops_where_it_pauses_and_dies_where_it_stands() -> None:
    said: list[str] = []

    def work() -> None:
        said.append("begun")
        try:
            strand.pause()
        except Crashed:
            said.append("dead")
            raise

    def guarded() -> None:
        try:
            work()
        except Crashed:
            return

    strand = Strand(guarded)
    assert strand.resume() is False
    assert said == ["begun"]
    strand.kill()
    assert said == ["begun", "dead"]
    assert strand.over


def test_a_batch_that_is_not_removed_is_there_again() -> None:
    queue, chance = Queue("queue"), Chance(1)
    for number in range(3):
        queue.put(Queued(f"m{number}", "body", 10, number))
    assert queue.take(5, 10, chance, shuffled=False) == []
    batch = queue.take(10, 2, chance, shuffled=False)
    queue.hide(batch, 50)
    assert [one.message_id for one in queue.take(10, 10, chance, shuffled=False)] == ["m2"]
    queue.remove(["m0"])
    assert {one.message_id for one in queue.take(50, 10, chance, shuffled=True)} == {"m1", "m2"}
    assert queue.next_ms == 10
