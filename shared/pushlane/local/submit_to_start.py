"""From the call that submits a task to the agent's first line, beside the floor of that, measured alike.

Samples of both kinds alternate, one in flight at a time, on the same warm machine. Both count from just before the call
is sent to the time that the last function takes first thing.
"""

import time
from typing import TYPE_CHECKING

import httpx
from msgspec import Struct

from pushlane.client import Client
from pushlane.local.api_floor import ApiFloor, deployed_api_floor, deployed_committing_api_floor
from pushlane.local.percentiles import Percentiles
from pushlane.local.pickup import WARM_UPS, ended, look, out_of_step, ran_at_ms, times

if TYPE_CHECKING:
    from boto3.session import Session


class SubmitToStart(Struct, frozen=True, kw_only=True):
    """The distributions, in milliseconds, and how many times each floor Pushlane takes."""

    pushlane: Percentiles
    floor: Percentiles
    committing_floor: Percentiles
    ratio_to_floor_p50: float
    ratio_to_floor_p95: float
    ratio_to_committing_floor_p50: float


def measure(client: Client, session: "Session", *, http_url: str, credential: str, samples: int) -> SubmitToStart:
    """Alternate `samples` no-op chaos tasks, submitted with a producer's credential, with as many calls of either
    floor, which are deployed for that time. The first few of each kind warm the functions and do not count.
    """
    pushlane: list[float] = []
    floor: list[float] = []
    committing: list[float] = []
    headers = {"authorization": f"Bearer {credential}"}
    with (
        deployed_api_floor(session, http_url, credential) as nothing,
        deployed_committing_api_floor(session, http_url, credential) as commits,
        httpx.Client(base_url=http_url, headers=headers, timeout=30) as http,
    ):
        pause = out_of_step()
        for _ in range(WARM_UPS + samples):
            pause()
            pushlane.append(_submission_ms(client, http))
            pause()
            floor.append(_floor_ms(nothing))
            pause()
            committing.append(_floor_ms(commits))
    return compared(pushlane[WARM_UPS:], floor[WARM_UPS:], committing[WARM_UPS:])


def compared(pushlane_ms: list[float], floor_ms: list[float], committing_ms: list[float]) -> SubmitToStart:
    """The comparison of the lists of times."""
    pushlane, floor, committing = (Percentiles.of(one) for one in (pushlane_ms, floor_ms, committing_ms))
    return SubmitToStart(
        pushlane=pushlane,
        floor=floor,
        committing_floor=committing,
        ratio_to_floor_p50=times(pushlane.p50, floor.p50),
        ratio_to_floor_p95=times(pushlane.p95, floor.p95),
        ratio_to_committing_floor_p50=times(pushlane.p50, committing.p50),
    )


def _submission_ms(client: Client, http: httpx.Client) -> float:
    order = {"task_type": "chaos", "payload": {"do": "echo"}}
    began_at_ms = time.time_ns() // 1_000_000
    answer = http.post("/v1/tasks", json=order)
    answer.raise_for_status()
    task_id = answer.json()["task_id"]
    record = look(lambda: ended(client, task_id), f"task {task_id}")
    at_ms, _ = ran_at_ms(client, record)
    return max(0, at_ms - began_at_ms)


def _floor_ms(floor: ApiFloor) -> float:
    sample, began_at_ms = floor.send()
    return max(0, look(lambda: floor.ran_at_ms(sample), "a floor sample") - began_at_ms)
