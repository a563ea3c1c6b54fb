"""An agent's health in the store: the heartbeats it sends, and the writes that take it out and bring it back.

Who is to notice that they stay away is a duty among the delayed of its pool, one at a time: `watched_ms` says which.
"""

from typing import Final

from pushlane.model.agent import Agent, AgentStatus
from pushlane.model.events import FactName
from pushlane.model.ids import digest
from pushlane.ports import AnyOf, AtLeast, AtMost, Conditions, Equals, Key, Missing, Put, Scalar, Update, Write
from pushlane.state import keys
from pushlane.state.facts import fact_put
from pushlane.state.items import VERSION

# The kind of duty that looks after an agent's heartbeats.
HEARTBEAT: Final = "heartbeat"

NOT_STARTED: Final = "it did not start what was pushed to it"
SILENT: Final = "its heartbeats stay away"


def unavailable(pool: str, agent_id: str, reason: str, now_ms: int) -> Put:
    """The fact, in the transaction that makes it true."""
    return _said(FactName.AGENT_UNAVAILABLE, pool, agent_id, reason, now_ms)


def beat(pool: str, agent_id: str, now_ms: int) -> Update:
    """An agent that is not taken out is heard of: one write. Late words change nothing."""
    not_newer = AnyOf((Missing("heartbeat_at_ms"), AtMost("heartbeat_at_ms", now_ms)))
    there = AnyOf((Equals("status", AgentStatus.ACTIVE.value), Equals("status", AgentStatus.DRAINING.value)))
    conditions: Conditions = (there, AtLeast("heartbeat_ms", 1), AtLeast("watched_ms", 1), not_newer)
    return Update(keys.agent_key(pool, agent_id), set={"heartbeat_at_ms": now_ms}, conditions=conditions)


def bring_back(agent: Agent, now_ms: int) -> list[Write]:
    """An agent that sends heartbeats is heard of again, or for the first time, and watched from now on."""
    heard: dict[str, Scalar] = {"heartbeat_at_ms": now_ms, "watched_ms": now_ms + (agent.heartbeat_ms or 0)}
    if agent.status is AgentStatus.UNAVAILABLE:
        heard["status"] = AgentStatus.ACTIVE.value
    fact = _said(FactName.AGENT_AVAILABLE, agent.pool, agent.agent_id, "its heartbeats come", now_ms)
    as_read = (*_as_read(agent), Equals("heartbeat_ms", agent.heartbeat_ms or 0))
    return [
        Update(_key(agent), set=heard, conditions=as_read),
        _watch(agent, now_ms + (agent.heartbeat_ms or 0)),
        *([fact] if agent.status is AgentStatus.UNAVAILABLE else []),
    ]


def watch_on(agent: Agent, watched_ms: int, due_ms: int) -> list[Write]:
    """It was heard of meanwhile: somebody looks again when that is too long ago."""
    still_ours = (Equals("watched_ms", watched_ms),)
    return [Update(_key(agent), set={"watched_ms": due_ms}, conditions=still_ours), _watch(agent, due_ms)]


def take_out(agent: Agent, watched_ms: int, now_ms: int) -> list[Write]:
    """Its heartbeats stayed away. `watched_ms` stays: whoever is interrupted after this goes on with that duty."""
    as_read = (*_as_read(agent), Equals("watched_ms", watched_ms))
    gone = Update(_key(agent), set={"status": AgentStatus.UNAVAILABLE.value}, conditions=as_read)
    return [gone, unavailable(agent.pool, agent.agent_id, SILENT, now_ms)]


def try_again(agent: Agent, now_ms: int) -> list[Write]:
    """An agent that did not start what it got is over its cool-down: it gets one task at a time."""
    cooled = (Equals("status", AgentStatus.UNAVAILABLE.value), Equals("cools_until_ms", agent.cools_until_ms or 0))
    back = Update(_key(agent), set={"status": AgentStatus.ACTIVE.value}, remove=("cools_until_ms",), conditions=cooled)
    reason = "it is tried again, with one task at a time until it has started one"
    return [back, _said(FactName.AGENT_AVAILABLE, agent.pool, agent.agent_id, reason, now_ms)]


def trusted(agent: Agent) -> Update:
    """An agent on trial has started a task."""
    return Update(_key(agent), set={"unstarted": 0}, conditions=(Equals("unstarted", agent.unstarted),))


def _watch(agent: Agent, due_ms: int) -> Put:
    return Put(keys.duty_key(agent.pool, due_ms, agent.agent_id, HEARTBEAT), {"v": VERSION})


def _as_read(agent: Agent) -> Conditions:
    at_ms = agent.heartbeat_at_ms
    heard = Missing("heartbeat_at_ms") if at_ms is None else Equals("heartbeat_at_ms", at_ms)
    return (Equals("status", agent.status.value), heard)


def _said(name: FactName, pool: str, agent_id: str, reason: str, now_ms: int) -> Put:
    said: dict[str, Scalar] = {"pool": pool, "agent_id": agent_id, "reason": reason}
    put = fact_put(name, digest(name.value, pool, agent_id, str(now_ms)), now_ms, said)
    return Put(put.key, put.attributes)


def _key(agent: Agent) -> Key:
    return keys.agent_key(agent.pool, agent.agent_id)
