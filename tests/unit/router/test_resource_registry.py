"""Reserving everything or nothing, through the same plan and turn as every other task."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from pushlane.agent import TaskContext, agent
from pushlane.agent.runtime import AgentRuntime
from pushlane.model import token
from pushlane.model.events import Dispatch as DispatchMessage
from pushlane.model.policy import Policy, Rate, SlotsOf, TenantPolicy
from pushlane.model.task import DeadlineKind, Estimate, Task, Tier
from pushlane.model.token import ReservationClaims
from pushlane.ports import Table
from pushlane.router.resource_registry import MustWait, NotReservable, ResourceRegistry
from pushlane.scheduling.decisions import ParkReason
from pushlane.state import keys, policies
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.dispatcher import RING, START_MS
from tests.unit.values import a_task

POLICY = Policy(
    tenants={"atlas": TenantPolicy(in_flight_max=2)},
    resources={"tpm": Rate(per_minute=1_000), "browser": SlotsOf(slots=1)},
)
NEEDS = {"tpm": 600, "browser": 1}


@agent(task_types=("work",))
def worker(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"did": "work"}


class World:
    """A dispatcher with one agent, a policy and a registry."""

    def __init__(self, *, slots: int = 4, policy: Policy = POLICY) -> None:
        self.dispatcher = InMemoryDispatcher()
        self.dispatcher.register(worker, agent_id="one", slots=slots)
        change = policies.PolicyChange(document=msgspec.json.encode(policy), change_id="c", changed_by="test")
        policies.set_policy(self.dispatcher.store, change, START_MS)
        self.registry = ResourceRegistry(self.dispatcher.turn, self.dispatcher.pusher)

    def held(self) -> tuple[int, int, list[dict[str, Any]]]:
        """Used slots, live attempts, and the state of everything shared."""
        store = self.dispatcher.store
        wanted = [keys.tenant_limits_key("atlas"), keys.resource_key("tpm", 0), keys.resource_key("browser", 0)]
        found = store.get(wanted)
        shared = [dict(found[key].attributes) if key in found else {} for key in wanted]
        return self.dispatcher.used("one"), len(self.dispatcher.live_attempts()), shared

    def claims(self, signed: str) -> ReservationClaims:
        return token.verify(signed, RING, START_MS)

    def run(self, task: Task, signed: str) -> None:
        """Run the reserved attempt as its holder would, through the agent's own runtime."""
        claims = self.claims(signed)
        message = DispatchMessage(
            task_id=task.task_id,
            tenant_id=task.tenant_id,
            task_type=task.task_type,
            epoch=claims.epoch,
            pool=claims.pool,
            agent_id=claims.agent_id,
            attempt_pk=keys.attempt_key(claims.pool, task.task_id).pk,
            token=signed,
            payload=task.payload,
        )
        assert AgentRuntime(worker, self.dispatcher.agent_ports()).run(msgspec.json.encode(message), 60_000)
        self.dispatcher.run_until_idle()


def needy(number: int = 1, **changed: Any) -> Task:
    return a_task(number, accepted_at_ms=START_MS, resources=NEEDS, estimate=Estimate(tokens=600), **changed)


def test_the_token_names_everything_that_is_held() -> None:
    world = World()
    assert world.registry.can_admit(needy()).admitted
    claims = world.claims(world.registry.reserve(needy()))
    assert (claims.task_id, claims.tenant_id, claims.epoch, claims.pool) == ("t-0001", "atlas", 1, "default")
    held = {hold.resource: hold.amount for hold in claims.reservation.holds}
    assert (claims.agent_id, claims.reservation.tokens, held) == ("one", 600, NEEDS)
    used, live, (tenant, tpm, browser) = world.held()
    assert (used, live, tenant["in_flight"], browser["used"]) == (1, 1, 1, 1)
    assert tpm["tat_us"] > START_MS * 1_000


def test_asking_holds_nothing() -> None:
    world = World()
    before = world.held()
    assert world.registry.can_admit(needy()).admitted
    assert world.held() == before
    assert world.dispatcher.task("t-0001") is None


@pytest.mark.parametrize(
    ("slots", "policy", "reason"),
    [
        (1, POLICY, "capacity"),
        (4, msgspec.structs.replace(POLICY, tenants={"atlas": TenantPolicy(in_flight_max=1)}), "tenant-quota"),
        (4, msgspec.structs.replace(POLICY, resources=POLICY.resources | {"browser": SlotsOf(slots=2)}), "rate:tpm"),
        (4, msgspec.structs.replace(POLICY, resources=POLICY.resources | {"tpm": Rate(per_minute=9_999)}),
         "rate:browser"),
    ],
)  # fmt: skip
def test_nothing_is_taken_when_any_one_thing_is_missing(slots: int, policy: Policy, reason: str) -> None:
    world = World(slots=slots, policy=policy)
    world.registry.reserve(needy(1))
    before = world.held()
    said = world.registry.can_admit(needy(2))
    assert (said.admitted, str(said.block)) == (False, reason)
    with pytest.raises(MustWait) as refused:
        world.registry.reserve(needy(2))
    assert str(refused.value.block) == reason
    assert reason in str(refused.value)
    assert world.held() == before
    assert world.dispatcher.task("t-0002") is None
    assert world.dispatcher.store.query(Table.SCHEDULER, keys.delayed_pk("default"), limit=9) == []


def test_a_rate_says_when_it_admits() -> None:
    world = World(policy=msgspec.structs.replace(POLICY, resources=POLICY.resources | {"browser": SlotsOf(slots=2)}))
    world.registry.reserve(needy(1))
    block = world.registry.can_admit(needy(2)).block
    assert block is not None
    assert block.reason is ParkReason.RATE
    # 1,000 a minute with a burst of 1,000: 600 were drawn, so 200 more have to be earned.
    assert block.until_ms == START_MS + 12_000
    world.dispatcher.clock.advance(12_000)
    assert world.registry.can_admit(needy(2)).admitted


def test_the_same_task_is_reserved_once() -> None:
    world = World(slots=1)
    first = world.registry.reserve(needy())
    held = world.held()
    assert world.claims(world.registry.reserve(needy())) == world.claims(first)
    assert world.held() == held


def test_another_task_under_the_same_id_is_refused() -> None:
    world = World()
    world.registry.reserve(needy())
    with pytest.raises(NotReservable, match="another key"):
        world.registry.reserve(needy(body_digest="other"))
    assert world.held()[:2] == (1, 1)


def test_a_reserved_attempt_is_released_through_its_end() -> None:
    world = World(slots=1)
    task = needy()
    world.run(task, world.registry.reserve(task))
    assert world.dispatcher.result(task.task_id) == {"did": "work"}
    used, live, (tenant, _, browser) = world.held()
    assert (used, live, tenant["in_flight"], browser["used"]) == (0, 0, 0, 0)
    with pytest.raises(NotReservable, match="SUCCEEDED"):
        world.registry.reserve(task)


def test_the_holder_runs_it_and_nobody_is_pushed_until_the_start_lease_is_over() -> None:
    world = World()
    world.registry.reserve(needy())
    world.dispatcher.run_until_idle()
    assert world.dispatcher.status("t-0001") == "DISPATCHED"
    world.dispatcher.advance(seconds=31)
    assert world.dispatcher.status("t-0001") == "SUCCEEDED"
    assert world.held()[:2] == (0, 0)


def test_who_waits_is_not_passed_by() -> None:
    world = World(slots=1, policy=Policy())
    for _ in range(2):
        world.dispatcher.submit(task_type="work", tier="critical", payload={})
    while world.dispatcher.used("one") == 0:
        world.dispatcher._deliver_intake()
    with pytest.raises(MustWait, match="capacity"):
        world.registry.reserve(needy(9))
    world.dispatcher.run_until_idle()
    assert world.registry.reserve(needy(9))


def test_an_impossible_hard_deadline_is_said_and_leaves_nothing() -> None:
    world = World()
    late = needy(deadline_ms=START_MS + 1_000, deadline_kind=DeadlineKind.HARD, tier=Tier.HIGH)
    assert world.registry.can_admit(late).impossible
    with pytest.raises(NotReservable, match="hard deadline"):
        world.registry.reserve(late)
    assert world.dispatcher.task(late.task_id) is None
