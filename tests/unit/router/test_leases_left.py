"""A lease that need not move is left where it is, since the attempts' index is keyed by it; and nobody is reclaimed,
forgotten or found later for it.
"""

import msgspec
import pytest

from pushlane.agent.lease import LeaseRules
from pushlane.agent.runtime import AgentRuntime
from pushlane.model.events import Dispatch
from pushlane.ports import Update
from pushlane.scheduling.lineup import START_LEASE_MS
from tests.unit.router.test_interleavings import AGENT_QUEUE, RESULTS, World, echo

RULES = LeaseRules(lease_ms=30_000, stall_ms=None, lasts_until_ms=500_000)
REMAINING_MS = 60_000


@pytest.mark.parametrize(
    ("granted_ms", "leaves"),
    [(30_000, True), (20_000, True), (19_999, False), (30_001, False), (None, False)],
)
def test_a_start_leaves_a_lease_that_is_shorter_by_less_than_a_beat_and_no_longer(
    granted_ms: int | None, leaves: bool
) -> None:
    assert RULES.leaves_at_start(granted_ms, 0) is leaves


def test_a_start_without_a_heartbeat_has_a_lease_of_its_own() -> None:
    """Nothing would extend the one that the router has granted."""
    short = msgspec.structs.replace(RULES, lasts_until_ms=30_000)
    assert not short.leaves_at_start(29_990, 0)
    assert msgspec.structs.replace(short, stall_ms=40_000).leaves_at_start(29_990, 0)


def test_no_lease_that_is_left_reaches_beyond_the_works_silence_or_its_end() -> None:
    assert not msgspec.structs.replace(RULES, stall_ms=20_000).leaves_at_start(30_000, 0)
    assert not msgspec.structs.replace(RULES, ends_at_ms=20_000).leaves_at_start(30_000, 0)


def test_a_long_lease_ends_with_the_work() -> None:
    assert RULES.leaves_at_finish
    assert not msgspec.structs.replace(RULES, lease_ms=30_001).leaves_at_finish


def dispatched(world: World) -> Dispatch:
    """The one dispatch that was pushed; it is not delivered any more."""
    [message] = world.sender.drain(AGENT_QUEUE)
    return msgspec.json.decode(message.body, type=Dispatch)


def lease_of(world: World) -> object:
    [item] = world.live_attempts()
    return item.attributes["lease_until_ms"]


def run(world: World, dispatch: Dispatch) -> bool:
    return AgentRuntime(echo, world.agent_ports()).run(msgspec.json.encode(dispatch), REMAINING_MS)


def test_neither_start_nor_finish_moves_the_lease_and_a_lost_nudge_is_found_when_it_is_over() -> None:
    world = World()
    world.arrives("m1")
    dispatch, granted_ms = dispatched(world), lease_of(world)
    assert dispatch.lease_until_ms == granted_ms
    world.clock.advance(50)
    assert run(world, dispatch)
    assert world.sender.drain(RESULTS)  # lost
    assert lease_of(world) == granted_ms
    world.advance(START_LEASE_MS / 1_000 + 1)  # the wake-up of the lease, and no sweep
    assert world.all_statuses() == ["SUCCEEDED"]
    assert world.used("one") == 0


def test_a_dispatch_of_an_older_release_names_no_lease_and_gets_one_at_its_start() -> None:
    world = World()
    world.arrives("m1")
    dispatch = msgspec.structs.replace(dispatched(world), lease_until_ms=None)
    world.clock.advance(50)
    started_ms = world.clock.now_ms()
    assert run(world, dispatch)
    assert lease_of(world) == started_ms + 30_000


def test_a_cancelled_attempt_that_was_not_started_is_started_with_the_end_that_was_set() -> None:
    world = World()
    world.arrives("m1")
    dispatch = dispatched(world)
    [item] = world.live_attempts()
    ends_at_ms = world.clock.now_ms() + 5_000
    world.store.write(Update(item.key, set={"ends_at_ms": ends_at_ms}))
    assert run(world, dispatch)
    assert lease_of(world) == ends_at_ms
