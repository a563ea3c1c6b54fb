"""What operators, deployments and strangers do while the world runs."""

import heapq
from collections.abc import Callable
from typing import Any, Final

import msgspec

from pushlane.model.attempt import Outcome, OutcomeKind
from pushlane.model.events import Dispatch, WakeUp
from pushlane.model.task import Door
from pushlane.ports import Attributes, ConditionFailed, Key, Put, Table, Update
from pushlane.router import registry
from pushlane.state import attempts, keys
from tests.reliability.broken import Violation
from tests.reliability.callers import Callers
from tests.reliability.deliveries import Deliveries
from tests.reliability.faults import Fault
from tests.reliability.handlers import INTAKE, RESULTS, WAKEUPS, agent_item
from tests.reliability.invocations import Invocation
from tests.reliability.moves import without_modes
from tests.reliability.points import WAITING
from tests.reliability.producers import Producers, nudge_with
from tests.reliability.tasks import POOLS, AgentShape, at_door, envelope, without_budgets
from tests.reliability.world import START_MS, World

_ODDITIES: Final = 20
Action = Callable[[], None]


class Operators:
    """Of one world: each thing they do is planned for an instant of the first act."""

    def __init__(self, world: World, deliveries: Deliveries, producers: Producers) -> None:
        self._world = world
        self._deliveries = deliveries
        self._producers = producers
        self._planned: list[tuple[int, Action]] = []
        self._answers: list[tuple[int, int, str, str]] = []  # when, tie-breaker, command, task
        world.audit.moved.append(self._moved)
        self.callers = Callers(world, deliveries, producers)

    def plan(self, from_ms: int, lasts_ms: int) -> None:
        chance = self._world.chance
        kinds: tuple[Action, ...] = (
            self.change_agent,
            self.change_agent,
            self.change_policy,
            self.unreadable_policy,
            self.redeploy,
            self.drift,
            self.drift,
            self.lose_wakeups,
            self.wake,
            self.rogue_finish,
            self.rogue_finish,
            self.rogue_nudge,
            self.rogue_nudge,
            self.old_nudge,
            self.old_push,
            self.cancel_task,
            self.cancel_task,
            self.cancel_workflow,
            self.signal_task,
            *self.callers.actions(),
        )
        if self._world.injector.aims_at(WAITING):
            kinds += (self.take_agent_of_the_waiting,) * _ODDITIES
        self._planned = [(from_ms + chance.between(0, lasts_ms), chance.pick(kinds)) for _ in range(_ODDITIES)]
        self._planned.sort(key=lambda one: -one[0])

    def due(self, now_ms: int) -> list[Action]:
        actions: list[Action] = self.callers.due(now_ms)
        if self._planned and self._planned[-1][0] <= now_ms:
            actions.append(self._do_next)
        if self._answers and self._answers[0][0] <= now_ms:
            actions.append(self._answer)
        return actions

    def _do_next(self) -> None:
        self._planned.pop()[1]()

    def next_ms(self) -> int | None:
        times = [self._planned[-1][0]] if self._planned else []
        beat_ms = self.callers.next_ms()
        times += [] if beat_ms is None else [beat_ms]
        return min([*times, *(at for at, *_ in self._answers[:1])], default=None)

    # What somebody who watches the tasks does.

    def _moved(self, task_id: str, task: Attributes) -> None:
        """A task has come to rest, or waits for a word: somebody will see to it."""
        chance = self._world.chance
        if task["status"] == "DEAD_LETTERED":
            if self._world.buries and self._world.injector.active:
                return  # the pool's policy sees to it, and what it leaves is seen to when the faults are over
            command = "RedriveTask" if chance.hit(0.8) else "DiscardTask"
        elif task["status"] == "SUSPENDED" and task.get("awaits") == "answer":
            command = "SignalTask"
        else:
            return
        at_ms = self._world.clock.now_ms() + chance.pick((10, 1_000, 5_000, 20_000))
        heapq.heappush(self._answers, (at_ms, self._world.commits, command, task_id))

    def _answer(self) -> None:
        _, _, command, task_id = heapq.heappop(self._answers)
        task = self._world.audit.mirror.tasks[task_id].task
        if task is None:
            return
        data: dict[str, Any] = {"tenant_id": task["tenant_id"], "task_id": task_id}
        if command == "SignalTask":
            if task["status"] != "SUSPENDED" or task.get("awaits") != "answer":
                return
            data |= {"name": task["awaits"], "data": {"said": "go on"}}
        self._producers.say(command, data)

    def cancel_task(self) -> None:
        """A producer wants one of its tasks no longer, whatever it is doing."""
        live = sorted(self._world.audit.mirror.live)
        if live:
            task_id = self._world.chance.pick(live)
            task = self._world.audit.mirror.tasks[task_id].task or {}
            self._producers.say("CancelTask", {"tenant_id": task.get("tenant_id", "atlas"), "task_id": task_id})

    def _see_to_the_dead(self) -> None:
        tasks = self._world.audit.mirror.tasks
        for task_id in sorted(self._world.audit.mirror.live):
            if (task := tasks[task_id].task) is not None and tasks[task_id].status == "DEAD_LETTERED":
                self._moved(task_id, task)

    def restore(self) -> None:
        """The faults are over: agents are as they were, and nobody's budget keeps a task until tomorrow."""
        self._planned.clear()
        self.callers.recover()
        if self._world.buries:
            self._see_to_the_dead()
        for agent in self._world.agents:
            if not agent.long_lived:
                self._world.register(agent)
        self._world.policy = without_modes(without_budgets(self._world.policy))
        self._world.set_policy(self._world.policy)

    # Agents and policies, through the handlers that do it.

    def signal_task(self) -> None:
        """Somebody tells a task something, whatever it is doing."""
        live = sorted(self._world.audit.mirror.live)
        if live:
            task_id = self._world.chance.pick(live)
            task = self._world.audit.mirror.tasks[task_id].task or {}
            data = {"tenant_id": task.get("tenant_id", "atlas"), "task_id": task_id, "name": "answer"}
            self._producers.say("SignalTask", data)

    def cancel_workflow(self) -> None:
        if self._producers.workflows:
            tenant_id, workflow_id = self._world.chance.pick(self._producers.workflows)
            self._producers.say("CancelWorkflow", {"tenant_id": tenant_id, "workflow_id": workflow_id})

    def change_agent(self) -> None:
        """CloudFormation changes an agent or takes it away: fewer slots, more, or drained."""
        chance = self._world.chance
        agent = chance.pick([one for one in self._world.agents if not one.long_lived])
        self._change(agent, chance.pick(("Update", "Update", "Delete")), chance.pick((1, 2, 5)))

    def take_agent_of_the_waiting(self) -> None:
        """CloudFormation takes away an agent of which an attempt holds nothing just now: it cannot go on there."""
        left = self._world.audit.mirror.left_for_a_wait()
        agents = [one for one in self._world.agents if not one.long_lived and (one.pool, one.agent_id) in left]
        if agents:
            self._change(self._world.chance.pick(agents), "Delete", 1)

    def _change(self, agent: AgentShape, kind: str, slots: int) -> None:
        world = self._world
        said = agent_item(agent.agent_id, agent.pool, agent.capabilities, slots)
        request = registry.request_of({"RequestType": kind, "ResourceProperties": said})
        looks = [True, True, False]
        world.injector.count(Fault.AGENT_CHANGED)

        def wait() -> bool:
            world.sleep(2_000)
            return looks.pop(0)

        def work() -> None:
            registry.apply(request, world.outside.store, wait)

        def over(_died: BaseException | None) -> None:
            """What ends only when the faults are over is taken back, as all such changes were then (`restore`)."""
            if not world.injector.active:
                world.register(agent)

        self._deliveries.invoke(Invocation("registry", work, over), apart=True)

    def change_policy(self) -> None:
        """A `SetPolicy` event through the bus; and somebody moves tenants, which leaves no event to come late and leave
        their tasks to nobody.
        """
        world = self._world
        moved = without_budgets(world.new_policy())
        world.policy = without_modes(moved)
        if moved != world.policy:
            world.set_policy(moved)
        world.injector.count(Fault.POLICY_CHANGED)
        document = msgspec.to_builtins(msgspec.structs.replace(world.policy, revision=None))
        source_id = world.new_id("source")
        body = at_door(Door.EVENTBRIDGE, source_id, "SetPolicy", envelope("SetPolicy", {"policy": document}))
        world.send(INTAKE, body)

    def unreadable_policy(self) -> None:
        """A newer version of the code has set a policy that this one cannot read."""
        world = self._world
        world.injector.count(Fault.POLICY_UNREADABLE)
        found = world.store.get([keys.policy_key()])[keys.policy_key()]
        revision = int(str(found.attributes["revision"])) + 1
        said: dict[str, Any] = {"v": 1, "revision": revision, "changed_at_ms": world.clock.now_ms(), "changed_by": "x"}
        world.put(Put(keys.policy_key(), said))
        world.put(Put(keys.policy_revision_key(revision), {**said, "document": '{"of_the_next_version": 1}'}))

    def redeploy(self) -> None:
        """New environments; whatever the old ones were doing, some of it dies."""
        world = self._world
        world.injector.count(Fault.REDEPLOYED)
        world.injector.count(Fault.MEMORY_LOST, len(world.routers))
        world.routers.clear()
        for one in list(world.invocations.paused):
            if world.chance.hit(0.5):
                world.invocations.paused.remove(one)
                world.invocations.kill(one)

    # Faults of the state and of messages.

    def drift(self) -> None:
        """Somebody has put a wrong number into a counter: the sweep counts again."""
        world, audit = self._world, self._world.audit
        # What the next policy may not count any more is left out.
        kept = [ref for ref in audit.mirror.counted if ref[0] == "RESOURCE#browsers" or ref[0].startswith("POOL#")]
        refs = sorted(ref for ref in kept if ref not in audit.drifts)
        if not refs:
            return
        ref = world.chance.pick(refs)
        pk, sk, attribute = ref
        stored = audit.mirror.counted[ref]
        delta = world.chance.pick((1, 1, 1, 1, 2, 2, 2, -1))
        if stored + delta < 0:
            return
        audit.drifts[ref] = delta
        world.injector.count(Fault.COUNTER_DRIFTED)
        world.put(Update(Key(Table.SCHEDULER, pk, sk), set={attribute: stored + delta}))

    def lose_wakeups(self) -> None:
        """Every wake-up on its way is gone."""
        queue = self._world.queues[WAKEUPS]
        self._world.injector.count(Fault.MESSAGE_LOST, len(queue.messages))
        queue.remove(list(queue.messages))

    def wake(self) -> None:
        """A wake-up that came for nothing."""
        world = self._world
        said = WakeUp(pool=world.chance.pick(POOLS), generation=world.chance.pick((0, 1)), due_ms=START_MS)
        world.send(WAKEUPS, msgspec.json.encode(said).decode())

    def old_nudge(self) -> None:
        """A nudge that came long ago comes again."""
        world = self._world
        if world.nudges:
            world.injector.count(Fault.DUPLICATED)
            world.send(RESULTS, world.chance.pick(world.nudges))

    def old_push(self) -> None:
        """A push that came long ago comes again."""
        world = self._world
        if world.pushes:
            world.injector.count(Fault.DUPLICATED)
            body = world.chance.pick(world.pushes)
            said = msgspec.json.decode(body, type=Dispatch)
            queue = next((url for url in world.queues if url.endswith(f"/{said.agent_id}")), None)
            if queue is not None:
                world.send(queue, body)

    def rogue_nudge(self) -> None:
        """A nudge with a true token that says something else than the attempt's own word."""
        world = self._world
        if world.nudges:
            world.injector.count(Fault.ROGUE_NUDGE)
            body = world.chance.pick(world.nudges[-6:])
            outcome = msgspec.json.decode(body)["outcome"]
            forged = {**outcome, "kind": "succeeded", "result": {"by": "rogue", "epoch": 0}}
            forged.pop("error", None)
            world.send(RESULTS, nudge_with(body, outcome=forged))

    def rogue_finish(self) -> None:
        """An invocation that never became the runner says that it has finished."""
        world = self._world
        if not world.pushes:
            return
        said = msgspec.json.decode(world.chance.pick(world.pushes[-6:]), type=Dispatch)
        world.injector.count(Fault.ROGUE_FINISH)
        now_ms = world.clock.now_ms()
        result = {"by": "rogue", "epoch": said.epoch}
        outcome = Outcome(kind=OutcomeKind.SUCCEEDED, started_at_ms=now_ms, finished_at_ms=now_ms, result=result)
        key = attempts.attempt_item(said.attempt_pk, said.task_id)
        try:
            world.put(attempts.finish(key, said.epoch, "rogue", outcome, now_ms))
        except ConditionFailed:
            return


def shown(violations: list[Violation]) -> str:
    return "; ".join(f"{one.kind}: {one.what}" for one in violations)
