"""Agents whose attempts do not start. Nobody says so: their start leases run out, one push after the other.

So many in a row, without one that had started in between, and the agent is taken out for a while, then tried again with
one task at a time until one has started: a broken deployment costs a few tasks one try each, and not all of them all.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from pushlane.model.agent import UNSTARTED_MAX, AgentStatus
from pushlane.scheduling.decisions import Decision, Fail, Retry, released_by
from pushlane.scheduling.endings import NEVER_STARTED
from pushlane.scheduling.snapshot import Finished, PoolSnapshot, held_by

COOL_DOWN_MS: Final = 60_000

AgentRef = tuple[str, str]


class Starts:
    """What ended attempts say of their agents: that they were started, or were not."""

    def __init__(self) -> None:
        self.unstarted: Counter[AgentRef] = Counter()
        self.started: set[AgentRef] = set()

    def add(self, decision: Decision) -> None:
        over = released_by(decision)
        if over is None:
            return
        held = held_by(over)
        ref = (held.agent_pool, held.agent_id)
        if isinstance(over, Finished) or over.attempt.runner is not None:
            self.started.add(ref)
        elif isinstance(decision, Retry | Fail) and decision.error == NEVER_STARTED:
            self.unstarted[ref] += 1

    def unavailable(self, snapshot: PoolSnapshot) -> set[AgentRef]:
        """The agents that are taken out because of it. One that sends heartbeats is judged by those."""
        return {
            (agent.pool, agent.agent_id)
            for agent in snapshot.agents
            if (ref := (agent.pool, agent.agent_id)) in self.unstarted
            and ref not in self.started
            and agent.status is AgentStatus.ACTIVE
            and agent.heartbeat_ms is None
            and agent.unstarted + self.unstarted[ref] >= UNSTARTED_MAX
        }


def trusted_after(decisions: Iterable[Decision]) -> set[AgentRef]:
    """The agents that have started what the decisions end: they are on trial no longer."""
    starts = Starts()
    for decision in decisions:
        starts.add(decision)
    return starts.started


def found_unavailable(snapshot: PoolSnapshot, decisions: Iterable[Decision]) -> set[AgentRef]:
    """The agents that the decisions find broken: nothing more is given to them."""
    starts = Starts()
    for decision in decisions:
        starts.add(decision)
    return starts.unavailable(snapshot) if starts.unstarted else set()
