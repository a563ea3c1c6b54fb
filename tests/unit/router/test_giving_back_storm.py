"""Attempts that wait, ask, end, die and are cancelled in any order, with messages that come twice, late and shuffled,
and a store that fails now and then: after every step the counters are what the live reservations hold.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec
import pytest

from pushlane.model.attempt import Reservation
from pushlane.model.errors import InvalidEvent, StoreUnavailable, TurnContended
from pushlane.model.events import FactName
from pushlane.ports import ConditionFailed, Table, Write
from pushlane.router.cancel import cancel
from pushlane.state import keys
from pushlane.testing import AttemptByHand, InMemoryDispatcher

pytestmark = pytest.mark.long

AGENTS = {"one": 2, "two": 1}
TENANTS = ("atlas", "borea")
_RESULTS = "queue/results"
_LEASE_MS = 40_000


class NowAndThen:
    """Of the calls that are made while it is armed, a few fail, before they are applied or after."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.armed = False

    def before(self, name: str, operations: Sequence[Write]) -> None:
        self._fail()

    def after(self, name: str, operations: Sequence[Write]) -> None:
        self._fail()

    def _fail(self) -> None:
        if self.armed and self._chance.random() < 0.01:
            raise StoreUnavailable("now and then")


class Storm:
    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.faults = NowAndThen(self.chance)
        self.dispatcher = InMemoryDispatcher(tenants=TENANTS, faults=self.faults)
        for agent_id, slots in AGENTS.items():
            self.dispatcher.register(None, agent_id=agent_id, slots=slots, capabilities=("echo",))
        self.dispatcher.set_policy(
            tenants={"atlas": {"in_flight_max": 2}},
            resources={"desk": {"kind": "slots", "slots": 3}},
            task_types={"echo": {"resources": ["desk"]}},
        )
        self.tasks: list[str] = []
        self.live: list[tuple[AttemptByHand, int]] = []
        self.seen: Counter[str] = Counter()

    def step(self) -> None:
        acts: list[Callable[[], None]] = (
            [self.submit] * 2 + [self.take] * 4 + [self.wait] * 3 + [self.come_back] * 3 + [self.end] * 2
        )
        acts += [self.pass_time] * 3 + [self.shuffle, self.cancel, self.forget, self.sweep]
        act = self.chance.choice(acts)
        try:
            act()
            self.seen[act.__name__] += 1
        except (ConditionFailed, LookupError, InvalidEvent):
            pass  # it was not its turn, or it is not its attempt any more
        self.run()
        self.check()

    def run(self) -> None:
        self.faults.armed = True
        try:
            if self.chance.random() < 0.7:
                self.dispatcher.run_until_idle()
            else:
                self.dispatcher.step()
        except (StoreUnavailable, TurnContended):
            pass
        self.faults.armed = False

    def submit(self) -> None:
        tier = self.chance.choice(["critical", "normal", "normal"])
        tenant_id = self.chance.choice(TENANTS)
        key = f"k{len(self.tasks)}"
        self.tasks.append(self.dispatcher.submit(idempotency_key=key, tenant_id=tenant_id, tier=tier))

    def take(self) -> None:
        for agent_id in AGENTS:
            try:
                self.live.append((self.dispatcher.take(agent_id, lease_ms=_LEASE_MS), 0))
            except LookupError:
                continue

    def wait(self) -> None:
        at, (attempt, waits) = self.any_live()
        self.live[at] = (attempt, waits + 1)
        attempt.begin_wait(waits + 1)

    def come_back(self) -> None:
        _, (attempt, waits) = self.any_live()
        attempt.end_wait(waits or 1)

    def end(self) -> None:
        at, (attempt, _) = self.any_live()
        del self.live[at]
        nudge = self.chance.random() < 0.8
        ends: list[Callable[[], None]] = [
            lambda: attempt.succeed(nudge=nudge),
            lambda: attempt.fail(nudge=nudge),
            lambda: attempt.give_way(nudge=nudge),
            lambda: attempt.stop_as_told(nudge=nudge),
        ]
        self.chance.choice(ends)()

    def forget(self) -> None:
        at, _ = self.any_live()
        if self.chance.random() < 0.5:
            del self.live[at]

    def any_live(self) -> tuple[int, tuple[AttemptByHand, int]]:
        if not self.live:
            raise LookupError("nothing runs")
        at = self.chance.randrange(len(self.live))
        return at, self.live[at]

    def shuffle(self) -> None:
        words = self.dispatcher.sender.drain(_RESULTS, limit=100)
        words += [word for word in words if self.chance.random() < 0.5]
        self.chance.shuffle(words)
        self.dispatcher.sender.send(_RESULTS, words)

    def cancel(self) -> None:
        if self.tasks and self.chance.random() < 0.2:
            ports, task_id = self.dispatcher.turn, self.chance.choice(self.tasks)
            stored = self.dispatcher.task(task_id)
            if stored is not None:
                cancel(ports, self.dispatcher.pusher, str(stored["tenant_id"]), task_id, "as it happens")

    def pass_time(self) -> None:
        self.dispatcher.clock.advance(self.chance.choice([100, 2_000, 20_000]))

    def sweep(self) -> None:
        self.faults.armed = True
        with suppress(StoreUnavailable):
            self.dispatcher.sweep()
        self.faults.armed = False

    def check(self) -> None:
        held: Counter[str] = Counter()
        for item in self.dispatcher.live_attempts():
            one = msgspec.json.decode(str(item.attributes["reservation"]), type=Reservation)
            held[one.agent_id] += one.slots
            held[one.tenant_id] += one.counted
            held["desk"] += sum(hold.amount for hold in one.holds)
            waits = int(str(item.attributes.get("gave_back", 0))) > int(str(item.attributes.get("granted", 0)))
            assert waits is (one.slots == 0)
        found = {item.key: item.attributes for item in self.dispatcher.store.items(Table.SCHEDULER)}
        counted = {agent_id: (keys.agent_key("default", agent_id), "used") for agent_id in AGENTS}
        counted |= {
            "atlas": (keys.tenant_limits_key("atlas"), "in_flight"),
            "desk": (keys.resource_key("desk", 0), "used"),
        }
        for name, (key, attribute) in counted.items():
            assert int(str(found.get(key, {}).get(attribute, 0))) == held[name], name
        queued = [key for key in found if key.pk.startswith("Q#")]
        depths = [attributes["depth"] for key, attributes in found.items() if key.pk.startswith("LANES#")]
        assert sum(int(str(depth)) for depth in depths) == len(queued)

    def calm(self) -> None:
        """No fault from now on; those that hold nothing ask again or are dead."""
        for _ in range(40):
            self.dispatcher.advance_with_sweeps(1)
            for agent_id in AGENTS:
                while True:
                    try:
                        self.dispatcher.take(agent_id).succeed()
                    except LookupError:
                        break
            self.dispatcher.run_until_idle()
            self.check()


@pytest.mark.parametrize("seed", range(12))
def test_counters_are_what_is_held_whatever_happens_and_every_task_comes_to_rest(seed: int) -> None:
    storm = Storm(seed)
    for _ in range(320):
        storm.step()
    assert storm.seen["wait"] > 5
    assert storm.seen["come_back"] > 5
    storm.calm()
    dispatcher = storm.dispatcher
    at_rest = {"SUCCEEDED", "FAILED", "CANCELLED", "DEAD_LETTERED"}
    assert {dispatcher.status(task_id) for task_id in storm.tasks} <= at_rest
    assert dispatcher.live_attempts() == []
    assert dispatcher.facts_of(FactName.CAPACITY_REPAIRED) == []
    ended = Counter(fact.data.task_id for fact in dispatcher.facts_of(FactName.TASK_SUCCEEDED))
    assert set(ended.values()) <= {1}


def test_the_storms_meet_every_way_of_a_wait() -> None:
    met: Counter[str] = Counter()
    for seed in range(8):
        storm = Storm(seed)
        for _ in range(160):
            storm.step()
            waits = [item for item in storm.dispatcher.live_attempts() if item.attributes.get("gave_back")]
            for item in waits:
                stored = storm.dispatcher.task(item.key.sk)
                asks = stored is not None and "waits_at" in stored
                met["asking" if asks else "granted" if "granted" in item.attributes else "waiting"] += 1
    assert min(met["asking"], met["granted"], met["waiting"]) > 10
