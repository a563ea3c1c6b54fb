"""Producers: tasks through every door, some of them twice, some of them wrong."""

from typing import Any, Final

import msgspec

from pushlane.model.task import Door
from tests.reliability import tasks
from tests.reliability.deliveries import Deliveries
from tests.reliability.faults import Fault
from tests.reliability.graphs import a_workflow, behind_claim
from tests.reliability.handlers import INTAKE
from tests.reliability.tasks import Submission, at_door, claimed, envelope, task_id_of, workflow_id_of
from tests.reliability.world import World

_SHARD: Final = "shardId-000000000000"
_DOORS: Final = (Door.SQS, Door.EVENTBRIDGE, Door.EVENTBRIDGE, Door.SNS, Door.KINESIS)
# One who has sent many alike goes on with it, though its lane may be full by now.
_INSISTS: Final = 0.3
_WITH_A_PARENT: Final = 0.02


class Producers:
    """Of one world."""

    def __init__(self, world: World, deliveries: Deliveries) -> None:
        self._world = world
        self._deliveries = deliveries
        self.sent: list[Submission] = []
        self.workflows: list[tuple[str, str]] = []
        self._keyed: list[dict[str, Any]] = []
        self._alike: dict[str, Any] = {}

    def submit(self, count: int) -> None:
        """So many submissions, a few of them alike."""
        a_task = tasks.a_plain_task if self._world.roomy else tasks.a_task
        chance = self._world.chance
        if not chance.hit(_INSISTS):
            self._alike = a_task(chance, self._world.clock.now_ms()) if chance.hit(0.3) else {}
        alike = self._alike
        if self._world.chance.hit(0.12):
            self.workflow()
        for _ in range(count):
            self.send(a_task(self._world.chance, self._world.clock.now_ms()) | alike | {"payload": self._payload()})

    def send(self, data: dict[str, Any]) -> Submission:
        """One submission through any door."""
        data, valid = self._oddly(data)
        return self.say("SubmitTask", data, valid=valid)

    def workflow(self) -> None:
        """A set of tasks with dependencies."""
        data = a_workflow(self._world.chance, self._world.clock.now_ms())
        if self._world.chance.hit(0.5):
            data["idempotency_key"] = self._world.new_id("key")
        if self._world.chance.hit(0.25):
            key, body, data = behind_claim(data)
            self._world.blobs.put(key, body)
        one = self.say("SubmitWorkflow", data)
        if one.task_id:
            self.workflows.append((data["tenant_id"], one.task_id))

    def say(self, name: str, data: dict[str, Any], *, valid: bool = True, task_id: str | None = None) -> Submission:
        """Any command through any door; delivered twice by the channel now and then."""
        world, chance = self._world, self._world.chance
        door = chance.pick(_DOORS)
        source_id = world.new_id("source")
        said = envelope(name, data)
        if door is Door.KINESIS:
            source_id = f"{_SHARD}:{source_id}"
        one = Submission(
            door=door,
            source_id=source_id,
            body=at_door(door, source_id, name, said),
            task_id=self._subject(name, data, door, source_id) if task_id is None else task_id,
            valid=valid,
        )
        self.sent.append(one)
        self._world.by_source[door.value, source_id] = one
        if door is Door.KINESIS:
            self._deliveries.stream_records.append(one)
            return one
        self._put(one, source_id if door is Door.SQS else world.new_id("message"))
        if door is not Door.SQS and self._deliveries.stormy and chance.hit(0.08):
            world.injector.count(Fault.DUPLICATED)
            self._put(one, world.new_id("message"))
        return one

    def _subject(self, name: str, data: dict[str, Any], door: Door, source_id: str) -> str:
        """The task or the workflow that must be there once this is taken."""
        if name == "SubmitWorkflow":
            return workflow_id_of(data, door, source_id)
        named = data.get("task_id") or data.get("workflow_id")
        return str(named) if named else task_id_of(data, door, source_id)

    def _put(self, one: Submission, message_id: str) -> None:
        self._world.submitted[message_id] = one
        self._world.send(INTAKE, one.body, self._world.chance.pick((0, 0, 500)), message_id)

    def _payload(self) -> dict[str, Any]:
        return {"n": self._world.chance.between(0, 10**9)}

    def _oddly(self, data: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        """Keys, repeats, conflicts, claimed payloads, nonsense; and whether it is still to be accepted."""
        world, chance = self._world, self._world.chance
        if chance.hit(0.5):
            data = data | {"idempotency_key": world.new_id("key")}
            self._keyed.append(data)
        elif self._keyed and chance.hit(0.12):
            again = chance.pick(self._keyed)
            if chance.hit(0.5):
                return again, True  # the same once more: one task
            return again | {"payload": self._payload()}, False  # the same key, another body: refused
        if chance.hit(0.04):
            key, body, value = claimed(data["tenant_id"], data["payload"])
            if chance.hit(0.9):  # else the object is not there
                world.blobs.put(key, body)
            return data | {"payload": value}, True
        if chance.hit(_WITH_A_PARENT):
            return self._attached(data), True
        if chance.hit(0.03):
            wrong: dict[str, Any] = chance.pick(({"tier": "utmost"}, {"tenant_id": "nobody"}, {"resources": {"x": 1}}))
            return data | wrong, False
        return data, True

    def _attached(self, data: dict[str, Any]) -> dict[str, Any]:
        """The child of some task. Of another tenant's it is accepted like one of none, and that one hears nothing."""
        known = sorted(key for key, one in self._world.audit.mirror.tasks.items() if one.task is not None)
        return data | {"parent": {"task_id": self._world.chance.pick(known) if known else "t-nobodys"}}


def nudge_with(body: str, **changed: Any) -> str:
    """A nudge that says something else."""
    said = msgspec.json.decode(body)
    return msgspec.json.encode(said | changed).decode()
