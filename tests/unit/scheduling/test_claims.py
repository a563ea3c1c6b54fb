"""Pull agents in the plan: offered nothing but what they claim, and in no turn a reason to look again."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.model.agent import Agent, AgentStatus
from pushlane.model.endpoint import Endpoint, EndpointKind
from pushlane.scheduling.claiming import Claim, with_claims
from pushlane.scheduling.decisions import Dispatch, Park, ParkReason, Preempt
from pushlane.scheduling.plan import plan
from pushlane.scheduling.snapshot import Input
from pushlane.state.loading import free_slots, waiting_shapes
from tests.unit.scheduling.situations import a_line, a_pool, dispatched, dispatches, parked
from tests.unit.values import NOW, a_finish, an_agent, an_arrival

PULL = Endpoint(kind=EndpointKind.PULL)


def a_puller(name: str = "one", *, slots: int = 3, used: int = 0, **changed: object) -> Agent:
    return msgspec.structs.replace(an_agent(name, slots=slots, used=used), endpoint=PULL, **changed)


def a_claim(at_most: int = 1, agent_id: str = "one") -> Claim:
    return Claim(agent_id=agent_id, at_most=at_most, claim_id="c-1")


def test_without_a_claim_a_pull_agent_is_offered_nothing() -> None:
    snapshot = a_pool(a_puller(), lanes=[a_line("atlas", 1)])
    assert plan(snapshot, [], NOW).decisions == ()
    [waits] = plan(a_pool(a_puller()), [an_arrival(2)], NOW).decisions
    assert isinstance(waits, Park)
    assert waits.block.reason is ParkReason.CAPACITY  # there is an agent, and it has not asked


@pytest.mark.parametrize(
    ("at_most", "used", "given_out"), [(1, 0, 1), (2, 0, 2), (9, 0, 3), (2, 2, 1), (2, 3, 0), (2, 9, 0)]
)
def test_a_claim_gets_as_many_as_it_asks_for_and_the_agent_has_slots(at_most: int, used: int, given_out: int) -> None:
    snapshot = a_pool(a_puller(used=used), lanes=[a_line("atlas", *range(1, 8))])
    assert [one.agent_id for one in dispatches(snapshot, [a_claim(at_most)])] == ["one"] * given_out


def test_a_claim_is_for_its_own_agent_alone() -> None:
    snapshot = a_pool(a_puller("one"), a_puller("two"), lanes=[a_line("atlas", 1, 2, 3)])
    assert [one.agent_id for one in dispatches(snapshot, [a_claim(3, "two")])] == ["two"] * 3


@pytest.mark.parametrize("status", [AgentStatus.DRAINING, AgentStatus.UNAVAILABLE])
def test_a_draining_agent_claims_in_vain(status: AgentStatus) -> None:
    snapshot = a_pool(a_puller(status=status), lanes=[a_line("atlas", 1)])
    assert dispatched(snapshot, [a_claim()]) == []


def test_agents_that_are_pushed_to_are_served_in_a_claims_turn_as_in_any() -> None:
    snapshot = a_pool(a_puller("one", slots=1), an_agent("two"), lanes=[a_line("atlas", 1, 2, 3)])
    assert sorted(one.agent_id for one in dispatches(snapshot, [a_claim(1)])) == ["one", "two"]


def test_the_slot_of_an_ended_attempt_is_not_handed_on_to_an_agent_that_did_not_ask() -> None:
    snapshot = a_pool(a_puller(slots=1, used=1), lanes=[a_line("atlas", 7)])
    assert dispatched(snapshot, [a_finish(1)]) == []


def test_work_that_only_pull_agents_can_do_is_not_even_read_without_a_claim() -> None:
    snapshot = a_pool(a_puller(), lanes=[a_line("atlas", 1)])
    assert waiting_shapes(snapshot, {}) == []
    asked = with_claims(snapshot, [a_claim(2)])
    assert [free for _, free in waiting_shapes(asked, {})] == [2]
    assert free_slots(asked, ("work",), {("default", "one"): 5}) == 2


def test_a_task_that_arrives_with_a_claim_goes_straight_to_it() -> None:
    decided = plan(a_pool(a_puller()), [an_arrival(1), a_claim()], NOW).decisions
    assert [type(one) for one in decided] == [Dispatch]
    assert parked(decided) == {}


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 4), st.integers(0, 5)), min_size=1, max_size=5),
    st.lists(st.integers(1, 12), max_size=3),
    st.integers(0, 12),
)
def test_no_pull_agent_ever_gets_more_than_it_asked_for_or_has(
    agents: list[tuple[bool, int, int]], claims: list[int], waiting: int
) -> None:
    made = [
        a_puller(f"a{n}", slots=slots, used=used) if pulls else an_agent(f"a{n}", slots=slots, used=used)
        for n, (pulls, slots, used) in enumerate(agents)
    ]
    asked = {f"a{n}": at_most for n, at_most in enumerate(claims)}
    inputs: list[Input] = [a_claim(at_most, name) for name, at_most in asked.items()]
    lanes = [a_line("atlas", *range(1, waiting + 1))] if waiting else []
    decided = plan(a_pool(*made, lanes=lanes), inputs, NOW).decisions
    assert not any(isinstance(one, Preempt) for one in decided)
    for agent in made:
        got = sum(isinstance(one, Dispatch) and one.agent_id == agent.agent_id for one in decided)
        assert got <= max(0, agent.slots - agent.used)
        if not agent.endpoint.pushed:
            assert got <= asked.get(agent.agent_id, 0)
