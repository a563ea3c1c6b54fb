"""Whatever dies, comes twice, is overtaken or stops listening: everybody ends with the whole sequence, in order."""

from collections.abc import Callable
from functools import partial
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushlane.model.events import FactName
from tests.unit.router.live_world import FEED, Client, LiveWorld

PARENT, CHILD, GRANDCHILD, NODE, WORKFLOW = "t-parent", "t-child", "t-grandchild", "t-node", "w-1"
TASKS = (PARENT, CHILD, GRANDCHILD, NODE)
LOGS = (*TASKS, WORKFLOW, FEED)
# Whose events stand in whose log.
INSIDE = {
    PARENT: {PARENT, CHILD, GRANDCHILD},
    CHILD: {CHILD, GRANDCHILD},
    GRANDCHILD: {GRANDCHILD},
    NODE: {NODE},
    WORKFLOW: {WORKFLOW, NODE},
    FEED: {*TASKS, WORKFLOW},
}


Step = Callable[[], None]


class Script:
    """What happens to the tasks: of each in its own order, and of all in any."""

    def __init__(self, world: LiveWorld) -> None:
        self._world = world
        # The rows are there before anything is told of them.
        for task_id in TASKS:
            world.calmly(partial(world.accept, task_id))
        world.calmly(partial(world.accept_workflow, WORKFLOW))
        world.queue.clear()
        self._steps: dict[str, list[Step]] = {
            PARENT: [partial(world.accept, PARENT), *self._life(PARENT)],
            CHILD: [partial(world.accept, CHILD, parent=PARENT), *self._life(CHILD)],
            GRANDCHILD: [partial(world.accept, GRANDCHILD, parent=CHILD), *self._life(GRANDCHILD)],
            NODE: [partial(world.accept, NODE, workflow=WORKFLOW), *self._life(NODE)],
            WORKFLOW: [
                partial(world.accept_workflow, WORKFLOW),
                partial(world.fact, FactName.WORKFLOW_ENDED, None, workflow_id=WORKFLOW),
            ],
        }

    def _life(self, task_id: str) -> list[Step]:
        world = self._world
        emits: list[Step] = [partial(world.emit, task_id)] * 5
        ends = partial(world.fact, FactName.TASK_SUCCEEDED, task_id)
        return [partial(world.fact, FactName.TASK_STARTED, task_id), *emits, ends]

    def step(self) -> bool:
        """One of the next things happens; says whether there was any."""
        going = [steps for steps in self._steps.values() if steps]
        if not going:
            return False
        self._world.calmly(self._world.random.choice(going).pop(0))
        return True


class Storm:
    """One run: what happens next is anybody's guess."""

    def __init__(self, random: Random) -> None:
        self.world = world = LiveWorld(random)
        self.random = random
        world.word_of_feed()
        world.settle()
        self.clients = {Client(f"client-{number}"): self._wishes() for number in range(3)}
        self.script = Script(world)
        world.chance.odds = random.choice((0.0, 0.01, 0.05, 0.2))

    def _wishes(self) -> list[str]:
        return self.random.sample(LOGS, k=2)

    def run(self) -> None:
        happening = True
        while happening or self.random.random() < 0.9:
            act = self.random.random()
            if act < 0.4:
                happening = self.script.step()
            elif act < 0.7:
                self.world.deliver(shuffle=self.random.random() < 0.3, keep=self.random.random() < 0.15)
            else:
                self.client_acts(self.random.choice(list(self.clients)))

    def client_acts(self, client: Client) -> None:
        world, act = self.world, self.random.random()
        if not client.connection_id or not world.poster.is_open(client.connection_id):
            self.come(client)
        elif act < 0.5:
            world.read(client)
        elif act < 0.7:
            world.subscribe(client, self.random.choice(self.clients[client]))
        elif act < 0.8:
            world.unsubscribe(client, self.random.choice(self.clients[client]))
        elif act < 0.9:
            world.lose(client)
        else:
            world.slow.add(client.connection_id)

    def come(self, client: Client) -> None:
        self.world.connect(client)
        for log in self.clients[client]:
            self.world.subscribe(client, log)

    def end(self) -> None:
        """Everything is delivered; whoever has lost the connection comes back once more."""
        self.world.settle()
        for client in self.clients:
            if client.connection_id:
                self.world.read(client)
            self.come(client)
        self.world.settle()
        for client in self.clients:
            self.world.read(client)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32))
def test_every_receiver_ends_with_exactly_the_full_ordered_sequence(seed: int) -> None:
    storm = Storm(Random(seed))
    storm.run()
    storm.end()
    world = storm.world
    for log in LOGS:
        events = world.log_of(log)
        assert [event.sequence for event in events] == list(range(1, len(events) + 1))
        for task_id in (*TASKS, WORKFLOW):
            inside = [event.source_id for event in events if event.task_id == task_id]
            own = [event.source_id for event in world.log_of(task_id) if event.task_id == task_id]
            assert inside == (own if task_id in INSIDE[log] else []), (log, task_id)
    for client, logs in storm.clients.items():
        for log in logs:
            assert tuple(client.seen.get(log, ())) == world.log_of(log), (client.name, log)
