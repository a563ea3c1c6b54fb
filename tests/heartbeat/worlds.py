"""Agents as processes of their own against a real DynamoDB endpoint, and the real router over it, in real time."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import msgspec

from pushlane.aws.clock import wall_ms
from pushlane.aws.dynamodb import DynamoItemStore
from pushlane.inmemory import Faults, InMemoryItemStore, ManualClock
from pushlane.model.events import Dispatch
from pushlane.ports import ItemStore, Key, Message
from pushlane.settings.environment import environment
from pushlane.settings.functions import AgentSettings
from pushlane.state.attempts import attempt_item
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.deliveries import RESULTS
from tests.conformance.backends import Backend, create_tables, receive

ROOT = Path(__file__).resolve().parents[2]
INVOCATION_SECONDS = 120


class WallClock:
    """This machine's time; nobody advances it."""

    def now_ms(self) -> int:
        return wall_ms()


@dataclass
class BusyAgent:
    """A running agent's process, and the attempt that it runs."""

    process: subprocess.Popen[str]
    dispatch: Dispatch

    @property
    def key(self) -> Key:
        return attempt_item(self.dispatch.attempt_pk, self.dispatch.task_id)

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def children(self) -> list[int]:
        """Its own child processes: the heartbeat."""
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in found.split()]


class _OverStore(InMemoryDispatcher):
    """An in-memory dispatcher whose state is elsewhere."""

    def __init__(self, store: DynamoItemStore, clock: ManualClock) -> None:
        self._elsewhere = store
        super().__init__(clock=clock)

    def new_store(self, faults: Faults | None) -> InMemoryItemStore:
        return cast(InMemoryItemStore, self._elsewhere)

    def measured_store(self) -> ItemStore:
        return self._elsewhere


class RealTime:
    """The router of an in-memory dispatcher, with its state in DynamoDB and the wall clock; `agents` are processes."""

    def __init__(self, backend: Backend, policy: dict[str, Any]) -> None:
        dynamodb, self._sqs = backend.client("dynamodb"), backend.client("sqs")
        tables = create_tables(dynamodb)
        self.store = DynamoItemStore(dynamodb, tables)
        clock = cast(ManualClock, WallClock())
        self.dispatcher = _OverStore(self.store, clock)
        # The endpoint remembers the tokens of transactions for longer than one test.
        self.dispatcher.turn = msgspec.structs.replace(self.dispatcher.turn, new_token=lambda: uuid4().hex)
        self.dispatcher.set_policy(**policy)
        self._nudges = self._sqs.create_queue(QueueName=f"results-{uuid4().hex[:12]}")["QueueUrl"]
        self._settings = AgentSettings(
            stage="local",
            agent_id="one",
            attempts_table=next(name for table, name in tables.items() if table == "attempts"),
            results_queue_url=self._nudges,
            events_queue_url=self._nudges,
            intake_queue_urls=self._nudges,
            claims_bucket="claims",
        )
        self._agents: list[subprocess.Popen[str]] = []

    def submit(self, agent_id: str, **data: Any) -> BusyAgent:
        """A task for one agent of its own, started as a process."""
        self.dispatcher.register(None, agent_id=agent_id, capabilities=(agent_id,))
        self.dispatcher.submit(capabilities=[agent_id], **data)
        self.dispatcher.step()
        return self.run_next(agent_id)

    def run_next(self, agent_id: str) -> BusyAgent:
        """Start a process for what was pushed to the agent; returns when its function is in its long call."""
        [message] = self.pushed(agent_id)
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.heartbeat.busy_agent", str(INVOCATION_SECONDS)],
            cwd=ROOT,
            env={**os.environ, **environment(self._settings), "PYTHONPATH": f"{ROOT / 'shared'}:{ROOT}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._agents.append(process)
        if process.stdin is None or process.stdout is None:
            raise AssertionError("an agent has pipes")
        process.stdin.write(message.body + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "busy\n"
        return BusyAgent(process, msgspec.json.decode(message.body, type=Dispatch))

    def pushed(self, agent_id: str) -> list[Any]:
        """What was pushed to an agent since the last time."""
        return self.dispatcher.sender.drain(f"queue/agent/{agent_id}")

    def until(self, happened: Callable[[], Any], timeout_seconds: float) -> float:
        """Run the router until something has happened; returns how many seconds that took."""
        begun = time.monotonic()
        while not happened():
            assert time.monotonic() - begun < timeout_seconds, "it did not happen in time"
            self.turn()
            time.sleep(0.05)
        return time.monotonic() - begun

    def turn(self) -> None:
        """Deliver the nudges, and whatever the router has to do now."""
        for body in receive(self._sqs, self._nudges, 10, timeout_seconds=0.02):
            self.dispatcher.sender.send(RESULTS, [Message(body)])
        self.dispatcher.run_until_idle()

    def is_pushed(self, agent_id: str) -> bool:
        """Whether something waits for the agent."""
        return self.dispatcher.sender.next_visible_of(f"queue/agent/{agent_id}") is not None

    def is_extended(self, one: BusyAgent) -> bool:
        """Whether the heartbeat has extended the lease that the attempt's start gave it."""
        found = self.attempt(one) or {}
        given_ms = int(found["started_at_ms"]) + round(one.dispatch.lease_seconds * 1_000)
        return int(found["lease_until_ms"]) > given_ms

    def attempt(self, one: BusyAgent) -> dict[str, Any] | None:
        item = self.store.get([one.key]).get(one.key)
        return None if item is None else dict(item.attributes)

    def history(self, task_id: str) -> list[dict[str, Any]]:
        """How the task's attempts failed, the first one first."""
        stored = self.dispatcher.task(task_id) or {}
        return [msgspec.json.decode(str(stored[name])) for name in sorted(stored) if name.startswith("error_")]

    def close(self) -> None:
        for process in self._agents:
            if process.poll() is None:
                process.kill()
            process.wait()


@contextmanager
def real_time(backend: Backend, policy: dict[str, Any]) -> Iterator[RealTime]:
    world = RealTime(backend, policy)
    try:
        yield world
    finally:
        world.close()
