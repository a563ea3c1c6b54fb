"""Checks of how an installation stands: policy, keys, agents, lanes, wake-ups, clocks, the API."""

from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from pushlane.cli.checkup.findings import Finding, or_well, problem, warning, well
from pushlane.cli.durations import told_ms
from pushlane.client.errors import TaskUnknown
from pushlane.client.live import AgentLive, LaneLive, Live, PoolLive, live
from pushlane.client.policies import policy_of
from pushlane.client.tenants import ACTIVE, ERASING, all_tenants
from pushlane.client.why import why
from pushlane.model.agent import AgentStatus
from pushlane.model.errors import InvalidEvent
from pushlane.model.policy_document import InvalidPolicy, parse_policy
from pushlane.ports import ItemStore
from pushlane.scheduling.decisions import ParkReason
from pushlane.state.pools import registered_pools

if TYPE_CHECKING:
    from pushlane.cli.target import Target

# A waiting task is looked at by a turn of its own pool at least once a minute, by the sweep.
STUCK_MS: Final = 90_000
OVERDUE_MS: Final = 120_000
SWEPT_MS: Final = 180_000
SKEW_MS: Final = 5_000
_DAY_MS: Final = 86_400_000
_LANES_MAX: Final = 10
_HTTP_SECONDS: Final = 10.0


class Standing:
    """Reads the scheduling state; changes nothing."""

    def __init__(self, target: "Target", clock: Callable[[], int]) -> None:
        self._target = target
        self._store: ItemStore = target.store
        self._clock = clock

    def policy(self) -> list[Finding]:
        """The policy in force can be read, and what it names is there."""
        import msgspec

        current = policy_of(self._store)
        try:
            policy = parse_policy(msgspec.json.encode(current.policy))
        except (InvalidPolicy, InvalidEvent) as error:
            fix = "set one that `pushlane policy validate` takes: `pushlane policy set FILE`"
            return [problem("policy", f"revision {current.revision} cannot be read: {error}", fix)]
        bare = sorted(policy.pools.keys() - set(registered_pools(self._store)))
        found = [
            warning("policy", f"pool {pool} has rules and no agent", "register an agent for it, or leave it out")
            for pool in bare
        ]
        return or_well("policy", found, f"revision {current.revision} is valid")

    def signing_key(self) -> list[Finding]:
        """The ring of signing keys can be read, and one of them signs."""
        kid, _ = self._target.keyring().signing()
        return [well("signing key", f"{kid} signs")]

    def agents(self) -> list[Finding]:
        """Somebody takes tasks, and nobody has fallen silent."""
        agents = self._live.agents
        if not agents:
            fix = "deploy one: `pushlane init my-agent` (docs/agents.md)"
            return [warning("agents", "no agent is registered", fix)]
        taking = sum(one.status is AgentStatus.ACTIVE for one in agents)
        found = [finding for one in agents for finding in _agent(one)]
        return or_well("agents", found, f"{taking} of {len(agents)} take tasks")

    def tenants(self) -> list[Finding]:
        """Somebody may submit, and no erasure was left half done."""
        tenants = all_tenants(self._store)
        active = sum(one.status == ACTIVE for one in tenants)
        half = [one.tenant_id for one in tenants if one.status == ERASING]
        left = "is shut out, and not erased yet"
        found = [warning("tenants", f"{one} {left}", f"pushlane tenants erase {one}") for one in half]
        if not active:
            found.append(warning("tenants", "none may submit", "register one: `pushlane tenants add NAME`"))
        return or_well("tenants", found, f"{active} of {len(tenants)} may submit")

    def lanes(self) -> list[Finding]:
        """Nothing waits although it could run, or for an agent that does not exist."""
        seen = self._live
        waiting = [lane for lane in seen.lanes if (lane.oldest_wait_ms or 0) >= STUCK_MS]
        waiting.sort(key=lambda lane: -(lane.oldest_wait_ms or 0))
        found = [finding for lane in waiting[:_LANES_MAX] for finding in self._stuck(lane)]
        longest = max((lane.oldest_wait_ms or 0 for lane in seen.lanes), default=0)
        told = f"{seen.waiting} tasks wait" + (f", the longest for {told_ms(longest)}" if seen.waiting else "")
        return or_well("lanes", found, told)

    def wake_ups(self) -> list[Finding]:
        """No pool with work is past its wake-up."""
        found = [finding for pool in self._live.pools if (finding := self._woken(pool))]
        return or_well("wake-ups", found, "none is overdue")

    def swept(self) -> list[Finding]:
        """The sweep has run lately: it leaves a sample of every pool each minute."""
        pools = registered_pools(self._store)
        if self._target.installation.measures_table is None:
            said = "what is deployed keeps no measures, so it leaves no trace"
            return [warning("sweep", said, "deploy all stacks again")]
        fresh = [pool for pool in pools if self._sampled(pool, SWEPT_MS)]
        if fresh or not pools:
            return [well("sweep", f"it has run lately for {len(fresh)} of {len(pools)} pools")]
        if any(self._sampled(pool, _DAY_MS) for pool in pools):
            fix = "see the log of the sweep's function and `pushlane dlq show sweep`"
            return [problem("sweep", f"it has left no sample for {told_ms(SWEPT_MS)}", fix)]
        fix = "just deployed, wait two minutes; else see the log of the sweep's function"
        return [warning("sweep", "it has not run yet", fix)]

    def _sampled(self, pool: str, within_ms: int) -> bool:
        from pushlane.telemetry.sampling import samples

        now_ms = self._clock()
        return bool(samples(self._store, pool, from_ms=now_ms - within_ms, to_ms=now_ms + 1))

    def clock(self) -> list[Finding]:
        """This machine's clock against the store's; the answer says whole seconds."""
        said: Any = self._target.aws.dynamodb.describe_table(TableName=self._target.installation.config_table)
        date = said["ResponseMetadata"]["HTTPHeaders"].get("date")
        if date is None:
            return [well("clock", "the store does not say its time")]
        skew_ms = self._clock() - int(parsedate_to_datetime(date).timestamp() * 1_000)
        if abs(skew_ms) > SKEW_MS:
            ahead = "ahead of" if skew_ms > 0 else "behind"
            told = f"this machine is {told_ms(abs(skew_ms))} {ahead} the store: deadlines set here are off by as much"
            return [warning("clock", told, "let it keep time by NTP")]
        return [well("clock", "this machine and the store agree")]

    def api(self) -> list[Finding]:
        """The HTTP API answers, where there is one."""
        import httpx

        url = self._target.installation.http_url
        if url is None:
            return [well("api", "not deployed")]
        try:
            answer = httpx.get(f"{url}/v1/openapi.json", timeout=_HTTP_SECONDS)
        except httpx.HTTPError as error:
            return [problem("api", f"{url} does not answer: {error}", "see the API's function and its log")]
        if not answer.is_success:
            return [problem("api", f"{url} answers {answer.status_code}", "see the log of the API's function")]
        return [well("api", f"{url} answers")]

    @cached_property
    def _live(self) -> Live:
        return live(self._store, self._clock())

    def _stuck(self, lane: LaneLive) -> Iterator[Finding]:
        try:
            told = why(self._store, str(lane.oldest_task_id), self._clock())
        except TaskUnknown:
            return  # it is gone meanwhile
        whose = f"{lane.waiting} tasks of tenant {lane.tenant_id} ({lane.tier}) in pool {lane.pool}"
        waited = told_ms(lane.oldest_wait_ms)
        if told.reason == ParkReason.NO_AGENT:
            fix = f"register an agent of pool {lane.pool} that can do {', '.join(lane.capabilities)}"
            yield problem("lanes", f"{whose} wait for {waited}, and no agent can take them", fix)
        elif told.reason == ParkReason.CONTENTION:
            fix = "the router runs no turns of this pool: see its errors and throttles, and the checks above"
            yield problem("lanes", f"{whose} wait for {waited} although nothing keeps them", fix)

    def _woken(self, pool: PoolLive) -> Finding | None:
        overdue_ms = 0 if pool.wake_due_ms is None else self._live.at_ms - pool.wake_due_ms
        if overdue_ms < OVERDUE_MS or not (pool.waiting or pool.used):
            return None
        fix = "see the depth of the queue wake-ups in `pushlane status`, and the router's errors"
        return warning("wake-ups", f"pool {pool.pool} was to be woken {told_ms(overdue_ms)} ago, and has work", fix)


def _agent(one: AgentLive) -> Iterator[Finding]:
    name = f"agent {one.pool}/{one.agent_id}"
    if one.status is AgentStatus.UNAVAILABLE:
        fix = f"see its log and `pushlane dlq show agent/{one.agent_id}`; it is tried again by itself"
        yield problem("agents", f"{name} is unavailable: it is silent, or does not start what is pushed to it", fix)
    elif one.silent_ms is not None and one.silent_ms > 2 * (one.heartbeat_ms or 0):
        yield warning("agents", f"{name} was last heard of {told_ms(one.silent_ms)} ago", "see whether it still runs")
    if one.used > one.slots:
        yield warning("agents", f"{name} holds {one.used} of {one.slots} slots", "its slots were lowered: wait")
