"""A worker of a pull agent: claims a task, runs it, claims the next; and lets its agent's heart beat beside that."""

import threading
import uuid
from collections.abc import Callable
from typing import Any, Final

import msgspec

from pushlane.agent.http.runtime import HttpAgentRuntime
from pushlane.agent.http.transport import Transport
from pushlane.model.errors import StoreUnavailable

CLAIM_WAIT_SECONDS: Final = 20.0
_PAUSE_SECONDS: Final = 5.0
_BEATS_A_SILENCE: Final = 3


class Worker:
    """`slots` tasks at once, of the agent that is registered under this id with the endpoint kind `pull`.
    `heartbeat_seconds`: as registered, if it was.
    """

    def __init__(
        self,
        runtime: HttpAgentRuntime,
        transport: Transport,
        agent_id: str,
        *,
        slots: int = 1,
        heartbeat_seconds: float | None = None,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self._runtime = runtime
        self._transport = transport
        self._path = f"/v1/agents/{agent_id}"
        self._slots = slots
        self._heartbeat_seconds = heartbeat_seconds
        self._new_id = new_id
        self._stopping = threading.Event()

    def run(self) -> None:
        """Work until `stop`; then what is running is finished first. Raises `ApiRefused` when the API refuses to give
        this agent work.
        """
        failures: list[BaseException] = []
        threads = [threading.Thread(target=self._work, args=(failures,), daemon=True) for _ in range(self._slots)]
        if self._heartbeat_seconds is not None:
            threading.Thread(target=self._beat, args=(self._heartbeat_seconds,), daemon=True).start()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._stopping.set()
        if failures:
            raise failures[0]

    def stop(self) -> None:
        """Claim nothing more."""
        self._stopping.set()

    def work_once(self, wait_seconds: float = 0.0) -> bool:
        """Claim one task and run it; says whether there was one."""
        said: dict[str, Any] = {"claim_id": self._new_id(), "max": 1, "wait_seconds": wait_seconds}
        answer = msgspec.convert(self._transport.post(f"{self._path}/claim", said), dict[str, list[Any]])
        for document in answer["dispatches"]:
            self._runtime.run(msgspec.json.encode(document))
        return bool(answer["dispatches"])

    def beat(self) -> None:
        """Say that the agent lives."""
        self._transport.post(f"{self._path}/heartbeat", {})

    def _work(self, failures: list[BaseException]) -> None:
        while not self._stopping.is_set():
            try:
                self.work_once(CLAIM_WAIT_SECONDS)
            except StoreUnavailable as error:
                self._runtime.log("claim-failed", error=str(error))
                self._stopping.wait(_PAUSE_SECONDS)
            except BaseException as error:  # told by `run`, in the caller's own thread
                failures.append(error)
                self._stopping.set()

    def _beat(self, silence_seconds: float) -> None:
        while not self._stopping.wait(silence_seconds / _BEATS_A_SILENCE):
            try:
                self.beat()
            except Exception as error:  # the next beat tries again, and what stays away is what counts
                self._runtime.log("heartbeat-failed", error=f"{type(error).__name__}: {error}")
