"""The rival polls as it is said to: again at once after a task, after its pause when there was none."""

import json
import threading
import time
from typing import Any

from bench.fleet import PollingFleet
from bench.systems import Order, pickups_ms


class FakeAws:
    """A bus that leads to one queue."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.deleted: list[str] = []
        self.asked: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def client(self, _service: str) -> "FakeAws":
        return self

    def put_events(self, **asked: Any) -> dict[str, Any]:
        with self._lock:
            for entry in asked["Entries"]:
                detail = json.loads(entry["Detail"])
                self.messages.append({"Body": json.dumps({"detail": detail}), "ReceiptHandle": detail["sample"]})
        return {"FailedEntryCount": 0, "Entries": [{} for _ in asked["Entries"]]}

    def receive_message(self, **asked: Any) -> dict[str, Any]:
        with self._lock:
            self.asked.append(asked)
            return {"Messages": [self.messages.pop(0)]} if self.messages else {}

    def delete_message(self, **asked: Any) -> None:
        self.deleted.append(asked["ReceiptHandle"])


def fleet_of(pollers: int, pause_seconds: float) -> tuple[PollingFleet, FakeAws]:
    aws = FakeAws()
    session: Any = aws
    return PollingFleet("poll", session, "bus", "queue/polled", pollers, pause_seconds), aws


def test_every_order_is_done_once_and_then_deleted() -> None:
    fleet, aws = fleet_of(3, 0.01)
    with fleet.awake():
        sent = fleet.send([Order("atlas")] * 25)
        pickups = pickups_ms(fleet, sent, 5)
    assert len(pickups) == 25
    assert sorted(aws.deleted) == sorted(one.sample for one in sent)
    assert {(one["WaitTimeSeconds"], one["MaxNumberOfMessages"]) for one in aws.asked} == {(0, 1)}


def test_a_poller_sleeps_only_after_an_empty_receive() -> None:
    fleet, _ = fleet_of(1, 0.2)
    sent = fleet.send([Order("atlas")] * 20)
    with fleet.awake():
        pickups_ms(fleet, sent, 5)
        time.sleep(0.5)
    assert fleet.receives - fleet.empty_receives == 20
    assert 1 <= fleet.empty_receives <= 5


def test_the_fleet_does_the_agents_work() -> None:
    fleet, _ = fleet_of(1, 0.01)
    sent = fleet.send([Order("atlas", work_seconds=0.1)] * 3)
    with fleet.awake():
        first, _, third = pickups_ms(fleet, sent, 5)
    assert third - first >= 190
