"""An installation in this process with some time behind it, and its API with the console, served on this machine."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from pushlane.inmemory import ManualClock
from pushlane.local.page_server import serving
from pushlane.model.attempt import ErrorDetail, Usage
from pushlane.model.principal import Role
from pushlane.telemetry.sampling import sample_pools
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.api import InMemoryApi
from pushlane.testing.by_hand import AttemptByHand

TENANTS: Final = ("atlas", "birch", "noisy")
MINUTES: Final = 24
BURST_FROM: Final = 14
POLICY: Final[dict[str, Any]] = {
    "tenants": {"atlas": {"weight": 2}},
    "resources": {
        "llm-tokens": {"kind": "rate", "unit": "tokens", "per_minute": 120_000, "burst": 60_000},
        "browsers": {"kind": "slots", "slots": 3},
    },
    "task_types": {"summarize": {"resources": ["llm-tokens"]}},
}
BROKEN: Final = ErrorDetail(
    error_type="ProviderRefused", message="the model answered 400: the document is longer than its context"
)


class RunningClock(ManualClock):
    """Time goes on by itself, and can be moved ahead."""

    def __init__(self) -> None:
        super().__init__(0)
        self._began_ms = time.time_ns() // 1_000_000 - (MINUTES + 1) * 60_000
        self._began = time.monotonic_ns()

    def now_ms(self) -> int:
        return super().now_ms() + self._began_ms + (time.monotonic_ns() - self._began) // 1_000_000


class ConsoleWorld:
    """Two agents that the test runs by hand. `lock` is held while anything is called."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.dispatcher = InMemoryDispatcher(tenants=TENANTS, clock=RunningClock())
        self.dispatcher.set_policy(**POLICY)
        for agent_id, slots in (("reader-1", 4), ("reader-2", 3)):
            self.dispatcher.register(None, agent_id=agent_id, slots=slots, capabilities=("extract", "summarize"))
        self.dispatcher.register(None, agent_id="scout", slots=2, capabilities=("browse",), pool="web")
        self.api = InMemoryApi(self.dispatcher, sleep=self._sleep)
        self.operator = self.api.new_key(Role.OPERATOR)
        self.producer = self.api.new_key(Role.PRODUCER, tenant_id="atlas")
        for minute in range(MINUTES):
            self._minute(minute)
        self.running = self._last()

    def answer(self, event: Mapping[str, Any]) -> dict[str, Any]:
        with self.lock:
            return self.api.app.handle(event)

    def submit(self, tenant_id: str, task_type: str = "extract", **more: Any) -> str:
        body = {"task_type": task_type, **more}
        said = self.api.call("POST", "/v1/tasks", principal=self.api.operator(tenant_id), body=body)
        assert said.status == 202, said
        return str(said.body["task_id"])

    def take_all(self) -> list[AttemptByHand]:
        """Start what was pushed."""
        taken: list[AttemptByHand] = []
        for agent_id, pool in (("reader-1", "default"), ("reader-2", "default"), ("scout", "web")):
            try:
                while True:
                    taken.append(self.dispatcher.take(agent_id, pool))
            except LookupError:
                continue
        return taken

    def finish(self, task_id: str) -> None:
        """End a task that runs, in the way that its agent would."""
        with self.lock:
            self.running.pop(task_id).succeed({"pages": 12}, usage=Usage(tokens=900))
            self.dispatcher.run_until_idle()

    def _sleep(self, seconds: float) -> None:
        """A long poll waits; others are answered meanwhile."""
        self.lock.release()
        time.sleep(seconds)
        self.lock.acquire()

    def _minute(self, minute: int) -> None:
        self._submissions(minute)
        for part in range(3):
            taken = self.take_all()
            self.dispatcher.advance(20)
            if part == 0:
                self._sample()
            for place, attempt in enumerate(taken):
                if minute % 8 == 5 and part == 0 and place == 0:
                    attempt.fail(BROKEN)
                else:
                    attempt.succeed({"pages": 3}, usage=Usage(tokens=700 + 50 * place))
            self.dispatcher.run_until_idle()
        self.dispatcher.sweep()
        self.dispatcher.run_until_idle()

    def _sample(self) -> None:
        """What the sweep's function does once a minute."""
        turn, now_ms = self.dispatcher.turn, self.dispatcher.clock.now_ms()
        sample_pools(turn.store, ("default", "web"), turn.policies.current(), now_ms, self.dispatcher.log)

    def _submissions(self, minute: int) -> None:
        now_ms = self.dispatcher.clock.now_ms()
        once: dict[str, Any] = {"retry": {"max_attempts": 1}}
        self.submit("atlas", "summarize", tier="high", deadline_ms=now_ms + 90_000, estimate={"tokens": 900}, **once)
        self.submit("birch", deadline_ms=now_ms + (30_000 if minute % 5 else 15_000), **once)
        for _ in range(14 if BURST_FROM <= minute < BURST_FROM + 5 else 2):
            self.submit("noisy", tier="low", deadline_ms=now_ms + 120_000, **once)
        if minute % 4 == 0:
            self.submit("birch", "browse", pool="web", **once)

    def _last(self) -> dict[str, AttemptByHand]:
        """What is there when somebody looks: some run, some wait, some could not be done."""
        for tenant_id, count, tier in (("noisy", 18, "low"), ("atlas", 5, "high"), ("birch", 6, "normal")):
            for _ in range(count):
                self.submit(tenant_id, tier=tier, deadline_ms=self.dispatcher.clock.now_ms() + 300_000)
        self.dispatcher.run_until_idle()
        attempts = self.take_all()
        self.dispatcher.advance(7)
        self.dispatcher.run_until_idle()
        return {one.task_id: one for one in attempts}

    @property
    def waiting(self) -> str:
        """A task that is parked."""
        found = self.api.call("GET", "/v1/tasks", principal=self.api.operator("noisy"), query={"status": "PARKED"})
        return str(found.body["tasks"][0]["task_id"])

    @property
    def dead(self) -> list[str]:
        """The dead letters, the oldest first."""
        found = self.api.call("GET", "/v1/dead-letters", principal=self.api.operator())
        return [str(one["task_id"]) for one in found.body["tasks"]]


@contextmanager
def open_console() -> Iterator[tuple[ConsoleWorld, str]]:
    """A world, and the URL of its console, for the length of a block."""
    world = ConsoleWorld()
    with serving(world.answer) as server:
        yield world, f"{server.url}/console"
