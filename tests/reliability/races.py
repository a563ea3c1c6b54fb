"""Races at the instant where they hurt: between what a handler has read and the write that leans on it. Chance alone
would find them once in a thousand worlds.
"""

from collections.abc import Sequence
from typing import Final

from pushlane.model.task import Door
from pushlane.ports import Delete, Table, Update, Write
from tests.reliability.deliveries import Deliveries
from tests.reliability.faults import Fault
from tests.reliability.handlers import INTAKE
from tests.reliability.tasks import TENANTS, at_door, envelope
from tests.reliability.world import World

_LIKELY: Final = 0.5
_SUBMISSIONS_MAX: Final = 4


class Races:
    """Of one world: told of every write before it is applied."""

    def __init__(self, world: World, deliveries: Deliveries) -> None:
        self._world = world
        self._deliveries = deliveries

    def before(self, operations: Sequence[Write]) -> None:
        """Something else happens first, if these operations make it worth while."""
        world = self._world
        if not world.injector.active or not world.invocations.may_nest:
            return
        for one in operations:
            if one.key.table is Table.ATTEMPTS and isinstance(one, Delete):
                self._thaw(one.key.sk)
            elif isinstance(one, Update) and one.key.table is Table.ATTEMPTS and "outcome" in one.set:
                self._signal(one.key.sk, str(one.set["outcome"]))
            elif isinstance(one, Update) and one.key.sk.startswith("AGENT#") and "used" in one.set:
                self._dispatch(one.key.pk.removeprefix("POOL#"))

    def _thaw(self, task_id: str) -> None:
        """The attempt that is about to be ended has only stood still, and goes on just now."""
        invocations = self._world.invocations
        still = [one for one in invocations.paused if one.task_id == task_id]
        if still and self._world.chance.hit(_LIKELY):
            self._count(1)
            invocations.thaw(still[0])

    def _signal(self, task_id: str, outcome: str) -> None:
        """A signal comes just when an attempt ends in order to wait for it."""
        if '"awaits":"answer"' not in outcome or not self._world.chance.hit(_LIKELY):
            return
        task = self._world.audit.mirror.tasks[task_id].task or {}
        said = {"tenant_id": task.get("tenant_id", "atlas"), "task_id": task_id, "name": "answer"}
        body = at_door(Door.SQS, "", "SignalTask", envelope("SignalTask", said))
        self._deliver(body)

    def _dispatch(self, pool: str) -> None:
        """Tasks come just when the repair has counted what the agents of their pool have in hand."""
        for number in range(self._world.chance.between(0, _SUBMISSIONS_MAX)):
            data = {"tenant_id": TENANTS[number], "task_type": "plain", "capabilities": ["cpu"], "pool": pool}
            self._deliver(
                at_door(Door.SQS, "", "SubmitTask", envelope("SubmitTask", data | {"payload": {"n": number}}))
            )

    def _deliver(self, body: str) -> None:
        message_id = self._world.new_id("message")
        self._world.send(INTAKE, body, 0, message_id)
        self._count(1)
        self._deliveries.at_once(self._world.queues[INTAKE], message_id)

    def _count(self, times: int) -> None:
        self._world.injector.count(Fault.SLIPPED_IN, times)
