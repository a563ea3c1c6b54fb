"""A burst, and eight routers at once on one pool of the real (emulated) store."""

import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from pushlane.aws.queues import SqsSender
from pushlane.client import SubmitData
from pushlane.inmemory import InMemoryBlobs
from pushlane.model.events import Dispatch
from pushlane.model.keyring import ring_of
from pushlane.model.task import Status
from pushlane.ports import Put, Scalar, Update
from pushlane.router.app import Router
from pushlane.router.endpoints import Endpoints
from pushlane.router.held import HeldTenants
from pushlane.router.policy import PolicyDirectory
from pushlane.router.ports import RouterPorts
from pushlane.router.push import Pusher
from pushlane.router.quarantine import Quarantine
from pushlane.router.remembered import RememberedPools
from pushlane.router.tenants import TenantDirectory
from pushlane.router.turn import TurnPorts
from pushlane.state import keys
from pushlane.state.items import number
from pushlane.testing import sqs_event, submit_envelope
from pushlane.wiring.turns import back_off
from tests.e2e.conftest import Deployed, eventually

RING = ring_of(b"a key of this test")

pytestmark = pytest.mark.e2e


class WallClock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


def test_a_burst_beyond_capacity_waits_runs_and_leaves_nothing_reserved(deployed: Deployed) -> None:
    burst = [SubmitData(tenant_id="noisy", task_type="chaos", payload={"do": "echo", "value": n}) for n in range(120)]
    submitted = deployed.client.submit_many(burst)
    assert not submitted.refused
    ended = deployed.client.wait([one.task_id for one in submitted.accepted], timeout_seconds=120)
    assert Counter(record.status for record in ended.values()) == {Status.SUCCEEDED: 120}
    eventually(deployed.nothing_is_held, "every slot is free again", 30)


def test_eight_routers_at_once_never_exceed_capacity_and_dispatch_each_task_once(deployed: Deployed) -> None:
    pool, slots, tasks = f"pool-{uuid.uuid4().hex[:8]}", 7, 80
    queue = deployed.queue()
    key = keys.agent_key(pool, "one")
    capable: dict[str, Scalar] = {
        "agent_id": "one",
        "pool": pool,
        "capabilities": ["echo"],
        "slots": slots,
        "queue_url": queue,
    }
    deployed.store.write(Put(key, {**capable, "status": "ACTIVE", "used": 0, "revision": 0}))
    deployed.store.write(Update(keys.wake_key(pool), set={"due_ms": 2**45, "generation": 1}))
    replans: list[int] = []
    routers = [_router(deployed, replans) for _ in range(8)]
    bodies = [(uuid.uuid4().hex, submit_envelope(pool=pool, payload={"n": n})) for n in range(tasks)]
    records = [(name, msgspec.json.encode(body).decode()) for name, body in bodies]
    events = [sqs_event("intake", records[start : start + 5]) for start in range(0, tasks, 5)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda pair: routers[pair[0] % 8].handle(pair[1]), enumerate(events)))
    assert all(answer == {"batchItemFailures": []} for answer in answers)
    live = deployed.live_attempts(pool)
    assert len(live) == slots
    assert number(deployed.store.get([key])[key].attributes, "used") == slots
    assert max(replans, default=0) <= 25
    pushed = _pushed(deployed, queue, slots)
    assert len(pushed) == slots
    assert set(pushed) == {item.key.sk for item in live}


def _router(deployed: Deployed, replans: list[int]) -> Router:
    def counted(replan: int) -> None:
        replans.append(replan)
        back_off(replan)

    sender, clock = SqsSender(deployed.aws.sqs), WallClock()
    turn = TurnPorts(
        store=deployed.store,
        sender=sender,
        blobs=InMemoryBlobs(),
        clock=clock,
        wakeups_queue_url=deployed.installation.wakeups_queue_url,
        new_token=lambda: uuid.uuid4().hex,
        back_off=counted,
        remembered=RememberedPools(),
        policies=PolicyDirectory(deployed.store, clock, lambda *_, **__: None),
    )
    return Router(
        RouterPorts(
            turn=turn,
            pusher=Pusher(deployed.store, Endpoints(sender), turn.blobs, lambda: RING),
            tenants=TenantDirectory(deployed.store, clock),
            quarantine=Quarantine(deployed.store, sender, clock, deployed.installation.quarantine_queue_url),
            held=HeldTenants(),
            keyring=lambda: RING,
            accept_unsigned_tenant=True,
            results_queue_arn="results",
            wakeups_queue_arn="wakeups",
            held_queue_arn="held",
            held_queue_url=deployed.installation.held_queue_url,
            log=lambda *_args, **_fields: None,
        )
    )


def _pushed(deployed: Deployed, queue: str, wanted: int) -> list[str]:
    pushed: list[str] = []
    for _ in range(wanted + 5):
        page = deployed.aws.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        for message in page.get("Messages", []):
            pushed.append(msgspec.json.decode(message["Body"], type=Dispatch).task_id)
            deployed.aws.sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return pushed
