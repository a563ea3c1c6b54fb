"""Pickup latency of Pushlane beside its floors, measured alike.

Pickup: from the moment PutEvents returned success to the time that the agent's code takes first thing. Samples of the
kinds alternate, one in flight at a time, on the same warm machine, so they meet the same conditions.
"""

import random
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from msgspec import Struct

from pushlane.client import Client, ResultUnavailable, TaskRecord
from pushlane.local.floor import Floor, deployed_committing_floor, deployed_floor
from pushlane.local.percentiles import Percentiles
from pushlane.model.task import Door

if TYPE_CHECKING:
    from boto3.session import Session

WARM_UPS: Final = 3
AGENT_CODE: Final = "agent code"
ATTEMPT_START: Final = "attempt start"
TIMEOUT_SECONDS: Final = 30.0
# The first look comes late enough not to compete with the hops that are measured.
_FIRST_LOOK_SECONDS: Final = 0.1
_LOOK_SECONDS: Final = 0.025
_SEED: Final = 7
_PAUSE_SECONDS: Final = 0.15

T = TypeVar("T")


class PickupComparison(Struct, frozen=True, kw_only=True):
    """The distributions and how many times each floor Pushlane takes. `clock`: who said when Pushlane's tasks ran."""

    pushlane: Percentiles
    floor: Percentiles
    committing_floor: Percentiles
    ratio_p50: float
    ratio_p99: float
    ratio_to_committing_floor_p50: float
    ratio_to_committing_floor_p99: float
    clock: str


class NotPickedUp(RuntimeError):
    """A sample did not run in time: something is broken or badly overloaded."""


def measure(client: Client, session: "Session", *, samples: int, tenant_id: str) -> PickupComparison:
    """Alternate `samples` no-op chaos tasks of a registered tenant with as many passes over either floor, which are
    deployed for that time. Needs the chaos agent; the first few of each kind warm the functions and do not count.
    """
    clocks: set[str] = set()
    pushlane: list[float] = []
    floor: list[float] = []
    committing: list[float] = []
    with deployed_floor(session) as nothing, deployed_committing_floor(session) as commits:
        pause = out_of_step()
        for _ in range(WARM_UPS + samples):
            pause()
            pickup_ms, clock = _task_pickup(client, tenant_id)
            clocks.add(clock)
            pushlane.append(pickup_ms)
            pause()
            floor.append(_floor_pickup_ms(nothing))
            pause()
            committing.append(_floor_pickup_ms(commits))
    found = (pushlane[WARM_UPS:], floor[WARM_UPS:], committing[WARM_UPS:])
    return compared(*found, " and ".join(sorted(clocks)))


def out_of_step() -> Callable[[], None]:
    """Waits a moment of its own length each time, the same ones in each run. The embedded emulator's poller naps after
    what it has found nothing at; a sample that always comes at the same time after another one's end would always, or
    never, meet it asleep, as no producer's would.
    """
    chance = random.Random(_SEED)
    return lambda: time.sleep(chance.uniform(0, _PAUSE_SECONDS))


def compared(
    pushlane_ms: Sequence[float], floor_ms: Sequence[float], committing_ms: Sequence[float], clock: str
) -> PickupComparison:
    """The comparison of the lists of pickups."""
    pushlane, floor, committing = (Percentiles.of(one) for one in (pushlane_ms, floor_ms, committing_ms))
    return PickupComparison(
        pushlane=pushlane,
        floor=floor,
        committing_floor=committing,
        ratio_p50=times(pushlane.p50, floor.p50),
        ratio_p99=times(pushlane.p99, floor.p99),
        ratio_to_committing_floor_p50=times(pushlane.p50, committing.p50),
        ratio_to_committing_floor_p99=times(pushlane.p99, committing.p99),
        clock=clock,
    )


def times(ms: float, floor_ms: float) -> float:
    """How many times the floor; one of less than a millisecond counts as that."""
    return round(ms / max(floor_ms, 1.0), 3)


def ran_at_ms(client: Client, record: TaskRecord) -> tuple[int, str]:
    """When the task ran and by whose clock: the agent code's own word in its result, else the attempt's start."""
    told = client.result(record).get("ran_at_ms")
    if isinstance(told, int):
        return told, AGENT_CODE
    if record.started_at_ms is None:
        raise ResultUnavailable(f"task {record.task_id} does not say when it ran")
    return record.started_at_ms, ATTEMPT_START


def _task_pickup(client: Client, tenant_id: str) -> tuple[float, str]:
    order = {"tenant_id": tenant_id, "task_type": "chaos", "payload": {"do": "echo"}}
    sent = client.submit(order, door=Door.EVENTBRIDGE)
    record = look(lambda: ended(client, sent.task_id), f"task {sent.task_id}")
    at_ms, clock = ran_at_ms(client, record)
    return max(0, at_ms - sent.returned_at_ms), clock


def ended(client: Client, task_id: str) -> TaskRecord | None:
    """The task, once it is at rest."""
    record = client.tasks([task_id]).get(task_id)
    return record if record is not None and record.at_rest else None


def _floor_pickup_ms(floor: Floor) -> float:
    sample, returned_at_ms = floor.send()
    return max(0, look(lambda: floor.ran_at_ms(sample), "a floor sample") - returned_at_ms)


def look(ask: Callable[[], T | None], what: str) -> T:
    """What `ask` finds, once it finds something; raises `NotPickedUp` after a while."""
    time.sleep(_FIRST_LOOK_SECONDS)
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while (answer := ask()) is None:
        if time.monotonic() > deadline:
            raise NotPickedUp(f"{what} did not run within {TIMEOUT_SECONDS:g} s; look at the functions' logs")
        time.sleep(_LOOK_SECONDS)
    return answer
