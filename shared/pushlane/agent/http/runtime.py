"""The agent's runtime over HTTP: the very one that runs on Lambda, its ports the API's operations."""

import logging
import time
import uuid
from collections.abc import Callable
from typing import Any, Final

import msgspec

from pushlane.agent.definition import AgentDefinition
from pushlane.agent.heartbeat import Heartbeat
from pushlane.agent.heartbeat.threads import ThreadHeartbeat
from pushlane.agent.http.transport import Transport
from pushlane.agent.http.words import EVENTS, INTAKE, RESULTS, ApiClock, AttemptOverHttp, Blobs
from pushlane.agent.ports import AgentPorts
from pushlane.agent.runtime import AgentRuntime
from pushlane.model.events import Dispatch
from pushlane.ports import Clock, ItemStore

_logger = logging.getLogger(__name__)
# No platform ends the process of such an agent; a lease that is not extended ends the attempt.
_A_DAY_MS: Final = 24 * 3_600_000

Heartbeats = Callable[[ItemStore, Clock], Heartbeat]


class HttpAgentRuntime:
    """Runs attempts of one agent in this process. `heartbeats` makes what keeps an attempt alive; with the other
    keywords it is replaced in tests.
    """

    def __init__(
        self,
        definition: AgentDefinition,
        transport: Transport,
        *,
        clock: ApiClock | None = None,
        heartbeats: Heartbeats | None = None,
        new_call_id: Callable[[], str] = lambda: uuid.uuid4().hex,
        sleep: Callable[[float], Any] = time.sleep,
        log: Callable[..., None] | None = None,
    ) -> None:
        self._definition = definition
        self._transport = transport
        self._clock = clock or ApiClock()
        self._heartbeats = heartbeats or (lambda store, by: ThreadHeartbeat(store, by, self.log))
        self._new_call_id = new_call_id
        self._sleep = sleep
        self.log = log or _log

    def run(self, document: bytes | str, remaining_ms: int = _A_DAY_MS) -> bool:
        """Run the attempt of one dispatch document to its end; False when it was not ours to run, or is not any more.

        Raises `msgspec.DecodeError` for what is no dispatch, and `StoreUnavailable` before anything happened.
        """
        dispatch = msgspec.json.decode(document, type=Dispatch)
        attempt = AttemptOverHttp(self._transport, self._clock, dispatch)
        ports = AgentPorts(
            store=attempt,
            sender=attempt,
            blobs=lambda: Blobs(attempt),
            clock=self._clock,
            heartbeat=self._heartbeats(attempt, self._clock),
            sleep=self._sleep,
            results_queue_url=RESULTS,
            events_queue_url=EVENTS,
            intake_queue_urls=(INTAKE,),
            new_call_id=self._new_call_id,
            log=self.log,
        )
        return AgentRuntime(self._definition, ports).run(document, remaining_ms)


def _log(event: str, **fields: Any) -> None:
    _logger.info("%s %s", event, " ".join(f"{name}={value}" for name, value in fields.items()))
