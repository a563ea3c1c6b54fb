"""A whole Pushlane in one thread of virtual time: the store, queues, streams, environments and what may happen next."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from pushlane.agent.heartbeat.inmemory import Process
from pushlane.inmemory import InMemoryBlobs, InMemoryItemStore, InMemoryPoster, ManualClock
from pushlane.model.errors import StoreUnavailable
from pushlane.model.policy import Policy
from pushlane.model.task import Door
from pushlane.ports import Change, Frame, Item, Message, Posted, PublishedFact, Put, Table, Update, Write
from pushlane.state import keys
from pushlane.state.policies import PolicyChange, set_policy
from tests.reliability import older
from tests.reliability.audit import Audit
from tests.reliability.behaviour import Behaviour
from tests.reliability.buried import bringing_back, buried
from tests.reliability.chance import Chance
from tests.reliability.faults import Fault, Injector
from tests.reliability.handlers import (
    ACTIVE,
    AGENTS,
    EVENTS,
    HELD,
    INTAKE,
    QUARANTINE,
    RESULTS,
    WAKEUPS,
    Outside,
    RouterEnvironment,
    agent_item,
    queue_of,
    streamer,
    turn_ports,
)
from tests.reliability.hearts import Hearts
from tests.reliability.invocations import Invocations
from tests.reliability.moves import Moves
from tests.reliability.points import CLAIMING, DEAD, LIVE, Point, Standing
from tests.reliability.ports import BlobUnavailable, Calls, FaultyBlobs, FaultySender, FaultySink, FaultyStore
from tests.reliability.pulling import Pulling
from tests.reliability.queues import Queue, Queued
from tests.reliability.streams import Stream
from tests.reliability.tasks import TENANTS, AgentShape, Submission, a_policy, a_roomy_policy, some_agents, task_id_of

START_MS: Final = 1_700_000_000_000
_WARM_MAX: Final = 3
_OLDER: Final = 0.1
_ROOMY: Final = 0.5
# One pool has no agents of its own and lives on those that another one lends.
_LENDS: Final = 0.2
# A connection that takes no more.
_SLOW: Final = 0.02
_DELAYS_S: Final = (1, 3, 10, 40)
# How long the platform gathers messages of the router's queues before it delivers them.
_WINDOWS_MS: Final = (1, 250, 1_000, 2_000, 2_000)


class World:
    """`called`, `slip_in`, `stall`, `settled`, `deliver` and `publish` are what the faulty ports call; `call_id`,
    `behaviour` and `sleep` what simulated agents call.
    """

    def __init__(self, seed: int, standing: Standing, points: list[Point]) -> None:
        self.seed = seed
        self.chance = Chance(seed)
        self.clock = ManualClock(START_MS)
        self.blobs = InMemoryBlobs()
        self.audit = Audit(self.blobs, self.clock.now_ms)
        self.injector = Injector(seed, self.chance, standing, points)
        self.store = InMemoryItemStore(self.clock, change_listener=self._on_change)
        self.invocations = Invocations(self.clock, self.chance, self.audit)
        self.queues = {url: Queue(url) for url in (INTAKE, RESULTS, WAKEUPS, HELD, EVENTS)}
        self.streams = {table: Stream(table) for table in (Table.TASKS, Table.ATTEMPTS)}
        self.hearts = Hearts(self.clock)
        self.quarantined: set[tuple[str, str]] = set()
        self.held: dict[tuple[str, str], int] = {}
        self.submitted: dict[str, Submission] = {}  # by the id of the message that carries it
        self.by_source: dict[tuple[str, str], Submission] = {}
        self.pushes: list[str] = []
        self.nudges: list[str] = []
        self.commits = 0
        self.events = 0
        self.roomy = self.chance.hit(_ROOMY)
        self.lends = not self.roomy and self.chance.hit(_LENDS)
        self.window_ms = 2_000 if self.roomy else self.chance.pick(_WINDOWS_MS)
        # They cost much and decide nothing.
        self.keeps_event_logs = self.chance.hit(0.15) or self.injector.aims_at(LIVE)
        self.pulls = Pulling(seed, wanted=self.injector.aims_at(CLAIMING), lends=self.lends)
        self.moves = Moves(seed, claims=self.pulls.here)
        self.buries = self.injector.aims_at(DEAD)
        self.loses_messages = 0.0
        self.log_lines: list[str] = []
        self.slips: list[Callable[[], bool]] = []
        self.races: list[Callable[[Sequence[Write]], None]] = []
        self._ids = 0
        self._sent = 0
        calls = Calls(self)
        self.outside = Outside(
            store=FaultyStore(self.store, calls, self),
            sender=FaultySender(calls, self),
            sink=FaultySink(calls, self),
            blobs=FaultyBlobs(self.blobs, calls, StoreUnavailable),
            agents_blobs=FaultyBlobs(self.blobs, calls, BlobUnavailable),
            clock=self.clock,
            new_id=self.new_id,
            log=self._log,
            back_off=lambda _replan: None,
        )
        self.routers: list[RouterEnvironment] = []
        self.sweeper = turn_ports(self.outside)
        self.poster = InMemoryPoster(answer=self._posting)
        self.streamer = streamer(self.outside, self.poster)
        if not self.lends and self.chance.hit(_OLDER):
            self._begin_with_older_items()
        if self.buries:
            self._begin_with(list(buried()))
        self.policy = self.new_policy()
        self.agents = some_agents(self.chance, (10, 20) if self.roomy else (1, 2, 4))
        if self.lends:
            self.agents = [one for one in self.agents if one.pool != "other"]
        self.set_policy(self.policy)
        for agent in self.agents:
            self.register(agent)
        for tenant_id in TENANTS:
            self.put(Put(keys.tenant_key(tenant_id), {"tenant_id": tenant_id, "status": "active"}))

    def _begin_with_older_items(self) -> None:
        """Most of the work was begun by the version before."""
        before = older.read()
        items = older.items_of(before)
        self._begin_with(items)
        for url, body, delay_ms in before.messages:
            self.send(url, body, delay_ms)
        self.injector.count(Fault.OLDER_ITEM, len(items))

    def _begin_with(self, items: list[Item]) -> None:
        self.store.load(items)
        for change in older.changes_of(items):
            self.audit.note(change)
        self.audit.settle()
        self.audit.told_before(item.key.pk for item in items if item.key.sk == keys.TASK)

    # What an operator does, without a fault.

    def put(self, operation: Write) -> None:
        self.store.write(operation)
        self.audit.settle()

    def register(self, agent: AgentShape) -> None:
        """Write an agent's entry as it was first; what it uses stays."""
        said = agent_item(agent.agent_id, agent.pool, agent.capabilities, agent.slots)
        self.put(
            Update(
                keys.agent_key(agent.pool, agent.agent_id),
                set={
                    "v": 1,
                    "agent_id": agent.agent_id,
                    "pool": agent.pool,
                    "capabilities": sorted(agent.capabilities),
                    "slots": agent.slots,
                    "queue_url": said["QueueUrl"],
                    "status": ACTIVE,
                    **self.pulls.endpoint(agent),
                },
                add={"used": 0, "revision": 0},
            )
        )
        self.put(Put(keys.pool_registration_key(agent.pool), {"v": 1}))
        self.queue(queue_of(agent.agent_id, agent.pool))

    def long_lived(self, agent_id: str, pool: str) -> None:
        """From now on there is one more agent, registered by somebody else."""
        self.agents.append(AgentShape(agent_id, pool, ("cpu", "gpu"), 2, 0, long_lived=True))

    def new_policy(self) -> Policy:
        made = a_roomy_policy(self.chance) if self.roomy else a_policy(self.chance, lends=self.lends)
        policy = self.moves.in_policy(made)
        return bringing_back(policy) if self.buries else policy

    def set_policy(self, policy: Policy) -> None:
        document = msgspec.json.encode(msgspec.structs.replace(policy, revision=None))
        change = PolicyChange(document=document, change_id=self.new_id("change"), changed_by="operator")
        set_policy(self.store, change, self.clock.now_ms())
        self.audit.settle()

    # Queues and environments.

    def queue(self, url: str) -> Queue:
        if url not in self.queues:
            self.queues[url] = Queue(url)
        return self.queues[url]

    def new_id(self, kind: str) -> str:
        self._ids += 1
        return f"{kind}-{self.seed}-{self._ids}"

    def send(self, url: str, body: str, delay_ms: int = 0, message_id: str | None = None) -> None:
        """Put a message into a queue: nothing goes wrong here."""
        self._sent += 1
        visible_ms = self.clock.now_ms() + delay_ms
        if not url.startswith(AGENTS):
            visible_ms = -(-visible_ms // self.window_ms) * self.window_ms
        self.queue(url).put(Queued(message_id or self.new_id("message"), body, visible_ms, self._sent))

    def gathered(self, queue: Queue) -> None:
        """What lies there is to be had at once."""
        queue.show(list(queue.messages), self.clock.now_ms())

    def environment(self) -> RouterEnvironment:
        """A warm router that is not at work, or a new one."""
        idle = [one for one in self.routers if not one.busy]
        if idle and (len(self.routers) >= _WARM_MAX or self.chance.hit(0.9)):
            return self.chance.pick(idle)
        fresh = RouterEnvironment(self.outside)
        self.routers.append(fresh)
        return fresh

    def forget(self, environment: RouterEnvironment) -> None:
        """Its process is gone, and with it what it remembered."""
        if environment in self.routers:
            self.routers.remove(environment)

    # What the faulty ports call.

    def called(self) -> None:
        self.invocations.called()

    def slip_in(self) -> bool:
        if not self.invocations.may_nest or not self.slips:
            return False
        return self.slips[0]()

    def stall(self) -> bool:
        return self.invocations.stall()

    def committing(self, operations: Sequence[Write]) -> None:
        for race in self.races:
            race(operations)

    def settled(self) -> None:
        self.commits += 1
        self.audit.settle()

    def deliver(self, queue_url: str, message: Message) -> None:
        """What a handler has sent."""
        if queue_url == QUARANTINE:
            kept = msgspec.json.decode(message.body)
            self.quarantined.add((str(kept.get("door")), str(kept.get("source_id"))))
            return
        if queue_url == EVENTS and not self.keeps_event_logs:
            return
        if queue_url == HELD:
            held = msgspec.json.decode(message.body)
            ref = (held["door"], held["source_id"])
            self.held[ref] = self.held.get(ref, 0) + 1
        elif queue_url == RESULTS and '"outcome"' in message.body:
            self.nudges.append(message.body)
        elif queue_url.startswith(AGENTS):
            self.pushes.append(message.body)
        elif queue_url == INTAKE:
            self._submission(message.body)
            return
        if self._loses(queue_url):
            return
        self.send(queue_url, message.body, message.delay_seconds * 1_000 + self._delay_ms())

    def _submission(self, body: str) -> None:
        """A child that an agent submits."""
        message_id = self.new_id("message")
        task_id = task_id_of(msgspec.json.decode(body)["data"], Door.SQS, message_id)
        one = Submission(door=Door.SQS, source_id=message_id, body=body, task_id=task_id)
        self.submitted[message_id] = self.by_source[Door.SQS.value, message_id] = one
        self.send(INTAKE, body, self._delay_ms(), message_id)

    def publish(self, facts: Sequence[PublishedFact]) -> None:
        self.audit.published(facts)

    # What simulated agents call.

    def call_id(self) -> str:
        return self.invocations.current.call_id

    def behaviour(self) -> Behaviour:
        return self.invocations.current.behaviour

    def sleep(self, ms: int) -> None:
        self.invocations.sleep(ms)

    def freeze(self, ms: int) -> None:
        heart = self.invocations.current.heart
        if heart is None or self.chance.hit(0.4):  # busy in one long call: its heart beats on
            self.invocations.sleep(ms)
            return
        heart.process = Process.FROZEN
        self.invocations.sleep(ms)
        heart.process = Process.ALIVE

    def restored(self, task_id: str, epoch: int, steps: int) -> None:
        self.audit.words.restored(task_id, epoch, steps)

    def _loses(self, queue_url: str) -> bool:
        """Wake-ups, nudges and pushes may be lost: the sweep makes them good. Submissions may not."""
        lost = self.loses_messages and queue_url not in (HELD, INTAKE) and self.chance.hit(self.loses_messages)
        self.injector.count(Fault.MESSAGE_LOST, int(lost))
        return bool(lost)

    def _delay_ms(self) -> int:
        if not self.injector.active or not self.chance.hit(0.12):
            return 0
        self.injector.count(Fault.DELAYED)
        return self.chance.pick(_DELAYS_S) * 1_000

    def _posting(self, _frame: Frame) -> Posted:
        return Posted.SLOW if self.injector.active and self.chance.hit(_SLOW) else Posted.DELIVERED

    def _on_change(self, change: Change) -> None:
        self.audit.note(change)
        if change.key.table in self.streams:
            self.streams[change.key.table].append(change)

    def _log(self, event: str, **fields: Any) -> None:
        if self.tells:
            self.log_lines.append(f"{self.clock.now_ms() - START_MS:>8} {event} {fields}")

    tells = False
