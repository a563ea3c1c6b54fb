"""A world of pools for property tests: the product's routers over ports in memory, and agents that the test plays.

Nothing but messages drives it: submissions, nudges and the product's own wake-ups. The sweep never runs, but for its
look at agents that started nothing and have cooled down. After every transaction, whatever came before it, the counters
are compared with the live reservations.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from pushlane.model.agent import Agent
from pushlane.model.attempt import ErrorDetail, Outcome, OutcomeKind, Throttled, Usage
from pushlane.model.events import Dispatch, Nudge, WakeUp
from pushlane.model.policy import Policy, SlotsOf
from pushlane.model.task import Status, Tier
from pushlane.ports import (
    Cancelled,
    CancelReason,
    Change,
    ConditionFailed,
    Item,
    Message,
    Table,
    TransactionCancelled,
    Write,
)
from pushlane.router.agent_health import look_at_starts
from pushlane.state import attempts, keys
from pushlane.state.items import agent_of, attempt_of, number, resource_of, shape_of_item, tenant_of, text
from pushlane.state.policies import PolicyChange, set_policy
from pushlane.testing import InMemoryDispatcher, sqs_event
from pushlane.testing.deliveries import HELD, INTAKE, RESULTS, WAKEUPS
from tests.simulation.buckets import Ledger
from tests.unit.values import agent_item

_QUEUES: Final = (INTAKE, RESULTS, WAKEUPS, HELD)
_LEASE_MS: Final = 20_000
# Far more than any of the worlds needs: a task is dispatched at most a few dozen times.
_ROUNDS_MAX: Final = 3_000
# At one instant: a submission, a start and an end of each task, and the wake-ups that they cause.
_DELIVERIES_MAX: Final = 120


class Attempted(Struct):
    """An attempt that an agent of the test has started."""

    dispatch: Dispatch
    call_id: str
    started_at_ms: int


class _Faults:
    """Lets other steps in right before some transactions, refuses some, and looks at the world after each."""

    def __init__(self, committed: Callable[[], None]) -> None:
        self.committed = committed
        self.meanwhile: list[Callable[[], object]] = []
        self.conflicts = 0

    def before(self, name: str, operations: Sequence[Write]) -> None:
        if name != "transact":
            return
        if self.meanwhile:
            self.meanwhile.pop()()
        if self.conflicts:
            self.conflicts -= 1
            raise TransactionCancelled((Cancelled(len(operations) // 2, CancelReason.CONFLICT),))

    def after(self, name: str, operations: Sequence[Write]) -> None:
        if name == "transact":
            self.committed()


class World(InMemoryDispatcher):
    """`now_ms` moves only by `advance`. What is pushed to agents waits in `pushed` until the test starts it."""

    def __init__(self, policy: Policy, agents: Sequence[Agent], tenants: Sequence[str]) -> None:
        self.policy = policy
        self.ledger = Ledger(policy)
        self.begun: list[Change] = []
        self.terminal: dict[str, str] = {}
        self.faults = _Faults(self._committed)
        super().__init__(tenants=tuple(tenants), faults=self.faults)
        for agent in agents:
            self.store.write(agent_item(agent))
        document = msgspec.json.encode(policy)
        set_policy(self.store, PolicyChange(document=document, change_id="first", changed_by="test"), 0)
        self.queues = [agent.endpoint.target for agent in agents]
        self.pushed: list[Dispatch] = []
        self.running: list[Attempted] = []
        self.ended: list[Message] = []
        self.calls = 0

    # What the test does.

    def start(self, dispatch: Dispatch) -> bool:
        """An agent takes up a push; False when it is not its to start."""
        self.calls += 1
        now_ms, call_id = self.clock.now_ms(), f"run-{self.calls}"
        key = attempts.attempt_item(dispatch.attempt_pk, dispatch.task_id)
        try:
            self.store.write(attempts.start(key, dispatch.epoch, call_id, now_ms, now_ms + _LEASE_MS))
        except ConditionFailed:
            return False
        self.running.append(Attempted(dispatch, call_id, now_ms))
        return True

    def finish(self, one: Attempted, outcome: Outcome, nudges: int = 1) -> bool:
        """The attempt's last word, and its nudge: once, twice, or lost."""
        key = attempts.attempt_item(one.dispatch.attempt_pk, one.dispatch.task_id)
        try:
            self.store.write(attempts.finish(key, one.dispatch.epoch, one.call_id, outcome, self.clock.now_ms()))
        except ConditionFailed:
            return False
        nudge = Message(
            msgspec.json.encode(Nudge(token=one.dispatch.token, runner=one.call_id, outcome=outcome)).decode()
        )
        self.ended.append(nudge)
        self.sender.send(RESULTS, [nudge] * nudges)
        return True

    def outcome(
        self, one: Attempted, kind: str, tokens: int | None = None, *, resource: str = "", pause_s: float = 0
    ) -> Outcome:
        """What an agent says: `succeeded`, `failed`, `yielded` or `throttled` by a resource."""
        now_ms = self.clock.now_ms()
        said = OutcomeKind.FAILED if kind == "throttled" else OutcomeKind(kind)
        return Outcome(
            kind=said,
            started_at_ms=one.started_at_ms,
            finished_at_ms=now_ms,
            result={} if said is OutcomeKind.SUCCEEDED else None,
            error=ErrorDetail(error_type="Boom", message="boom") if said is OutcomeKind.FAILED else None,
            usage=Usage(tokens=tokens),
            throttled=Throttled(resource=resource, retry_after_seconds=pause_s) if resource else None,
        )

    def ordered(self) -> list[Attempted]:
        """Running attempts that were asked to yield."""
        live = {item.key.sk: attempt_of(item) for item in self.store.items(Table.ATTEMPTS)}
        return [one for one in self.running if (a := live.get(one.dispatch.task_id)) is not None and a.order_for]

    def slip_in(self, step: Callable[[], object], queue: str) -> None:
        """Before the next transaction, something happens, and another router handles what then lies in the queue."""

        def both() -> None:
            step()
            self._handled_elsewhere(queue)

        self.faults.meanwhile.append(both)

    def wake(self, pool: str) -> None:
        """A wake-up that came for nothing."""
        body = msgspec.json.encode(WakeUp(pool=pool, generation=0, due_ms=self.clock.now_ms())).decode()
        self.sender.send(WAKEUPS, [Message(body)])

    def _handled_elsewhere(self, queue: str) -> None:
        batch = {f"elsewhere-{self._next()}": message for message in self.sender.drain(queue, limit=5)}
        said = {key: self._said(queue, message) for key, message in batch.items()}
        answer = self.new_router().handle(sqs_event(queue, list(said.items()))) if batch else {}
        again = [batch[one["itemIdentifier"]] for one in answer.get("batchItemFailures", [])]
        self.sender.send(queue, again)

    def _said(self, queue: str, message: Message) -> str:
        """A message of the intake queue lies there together with its id."""
        if queue != INTAKE:
            return message.body
        return msgspec.json.encode(msgspec.json.decode(message.body)["envelope"]).decode()

    def run_until_idle(self) -> None:
        self._deliver_all()
        self.faults.meanwhile.clear()
        self.faults.conflicts = 0
        self._deliver_all()
        for queue in self.queues:
            self.pushed += [msgspec.json.decode(one.body, type=Dispatch) for one in self.sender.drain(queue)]

    def _deliver_all(self) -> None:
        for _ in range(_DELIVERIES_MAX):
            if not self.step():
                return
        failed = [fields for event, fields in self.logged if event == "turn-failed"]
        raise AssertionError(f"no end of messages at {self.clock.now_ms()}; the last failures: {failed[-3:]}")

    def finish_everything(self) -> None:
        """No more arrivals, every push is started and succeeds, and time goes on from wake-up to wake-up."""
        for _ in range(_ROUNDS_MAX):
            self._try_cooled()
            self.run_until_idle()
            self._work()
            due = [at for queue in _QUEUES if (at := self.sender.next_visible_of(queue)) is not None]
            due += [agent.cools_until_ms for agent in self.agents() if agent.cools_until_ms is not None]
            if not due:
                assert not self.unfinished(), f"no message will ever come, and these wait: {self.unfinished()}"
                return
            due_ms = min(due)
            self.clock.advance(max(0, due_ms - self.clock.now_ms()))
        raise AssertionError(f"still not done: {self.unfinished()}")

    def _try_cooled(self) -> None:
        agents = [i for i in self.scheduler_items("POOL#") if i.key.sk.startswith(keys.AGENT_PREFIX)]
        look_at_starts(self.turn, self.pusher, agents, ())

    def _work(self) -> None:
        while self.pushed or self.running:
            for dispatch in self.pushed:
                self.start(dispatch)
            self.pushed.clear()
            for one in self.running:
                self.finish(one, self.outcome(one, "succeeded"))
            self.running.clear()
            self.run_until_idle()

    # What the test sees.

    def unfinished(self) -> dict[str, str]:
        tasks = [item for item in self.store.items(Table.TASKS) if item.key.sk == "TASK"]
        said = {
            item.key.pk: f"{text(item.attributes, 'status')} {item.attributes.get('park_reason')}" for item in tasks
        }
        over = {status for status in Status if status.terminal} | {Status.DEAD_LETTERED}
        return {task_id: word for task_id, word in said.items() if Status(word.split()[0]) not in over}

    def scheduler_items(self, prefix: str) -> list[Item]:
        return [item for item in self.store.items(Table.SCHEDULER) if item.key.pk.startswith(prefix)]

    def agents(self) -> list[Agent]:
        return [agent_of(i) for i in self.scheduler_items("POOL#") if i.key.sk.startswith(keys.AGENT_PREFIX)]

    def _on_change(self, change: Change) -> None:
        super()._on_change(change)
        if change.key.table is Table.ATTEMPTS and (change.old is None or change.new is None):
            self.begun.append(change)
        if change.key.table is Table.TASKS and change.key.sk == "TASK":
            assert change.new is not None
            status = text(change.new, "status")
            before = self.terminal.get(change.key.pk)
            assert before is None, f"{change.key.pk} was {before} and is {status}"
            if Status(status).terminal:
                self.terminal[change.key.pk] = status

    def _committed(self) -> None:
        changes, self.begun = self.begun, []
        self.ledger.follow(changes, self.clock.now_ms())
        self.ledger.check()
        self._check_agents([change for change in changes if change.old is None])
        self._check_counters()

    def _check_agents(self, begun: Sequence[Change]) -> None:
        held = Counter((one.agent_pool, one.agent_id) for one in self.ledger.live.values())
        taken = {attempt_of(Item(c.key, c.new)).agent_id for c in begun if c.new is not None}
        for agent in self.agents():
            assert agent.used == held[agent.pool, agent.agent_id], f"{agent.agent_id}: used {agent.used}, {held}"
            if agent.agent_id in taken:
                assert agent.used <= agent.slots, f"{agent.agent_id}: {agent.used} of {agent.slots} slots"

    def _check_counters(self) -> None:
        for item in self.scheduler_items("TENANT#"):
            if item.key.sk == "STATE":
                tenant_id = item.key.pk.removeprefix("TENANT#")
                assert tenant_of(item.attributes).in_flight == self.ledger.in_flight(tenant_id), tenant_id
        for item in self.scheduler_items("RESOURCE#"):
            name, _, shard = item.key.pk.removeprefix("RESOURCE#").partition("#")
            if item.key.sk == "STATE" and isinstance(self.policy.resources[name], SlotsOf):
                assert resource_of(name, int(shard or 0), item.attributes).used == self.ledger.held(name), name

    def check_nothing_is_left(self) -> None:
        """When all is done: no reservation, no count, no lane in a list, nothing delayed."""
        assert self.ledger.live == {}
        assert self.store.items(Table.ATTEMPTS) == []
        assert self.scheduler_items("Q#") == []
        assert self.scheduler_items("DELAYED#") == []
        for item in self.scheduler_items("LANES#"):
            counts = [number(item.attributes, name) for name in ("depth", "undated") if name in item.attributes]
            listed = [name for name in ("turn_key", "urgent_key", "late_key") if name in item.attributes]
            assert (sum(counts), listed, item.attributes.get("listed", "")) == (0, [], ""), item
        shapes = [shape_of_item(i) for i in self.scheduler_items("POOL#") if i.key.sk.startswith(keys.SHAPE_PREFIX)]
        assert all(not shape.waiting and not any(shape.lanes.get(tier) for tier in Tier) for shape in shapes)
        for item in self.scheduler_items("ACCOUNT#"):
            assert item.attributes.get("uncharged_ms", 0) == 0, item
        self._check_counters()
