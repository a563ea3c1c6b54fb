"""Dispatches that are pushed to a URL: verified, taken, and run beside the answer. Any web framework can call it."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from pushlane.model.events import Dispatch
from pushlane.model.webhook_signature import InvalidSignature, secret_of, verified_id

ACCEPTED: Final = 202
MALFORMED: Final = 400
UNAUTHENTIC: Final = 401
BUSY: Final = 503


class Runs(Protocol):
    """What runs a dispatch: an `HttpAgentRuntime`."""

    def run(self, document: bytes) -> bool: ...


class Pushed(Struct, frozen=True, kw_only=True):
    """What to answer, and the run that it began, if it did."""

    status: int
    reason: str = ""
    running: Future[bool] | None = None


class PushedAgent:
    """An agent behind a URL. `secrets`: as the registration told them (`whsec_...`), two while one replaces the other.

    It answers before the work is done: the platform waits for the answer alone, and hears of the attempt by its words.
    """

    def __init__(
        self,
        runtime: Runs,
        secrets: Sequence[str],
        *,
        slots: int = 1,
        now_seconds: Callable[[], float] = time.time,
    ) -> None:
        self._runtime = runtime
        self._secrets = [secret_of(one) for one in secrets]
        self._now_seconds = now_seconds
        self._free = BoundedSemaphore(slots)
        self._pool = ThreadPoolExecutor(max_workers=slots, thread_name_prefix="attempt")

    def handle(self, headers: Mapping[str, str], body: bytes) -> Pushed:
        """Take one request; `headers` in any case. A dispatch that comes twice is run once: only one run starts."""
        lower = {name.lower(): value for name, value in headers.items()}
        try:
            verified_id(self._secrets, lower, body, int(self._now_seconds()))
            msgspec.json.decode(body, type=Dispatch)
        except InvalidSignature as error:
            return Pushed(status=UNAUTHENTIC, reason=str(error))
        except msgspec.DecodeError as error:
            return Pushed(status=MALFORMED, reason=f"no dispatch: {error}")
        if not self._free.acquire(blocking=False):
            return Pushed(status=BUSY, reason="every slot is taken")
        return Pushed(status=ACCEPTED, running=self._pool.submit(self._run, body))

    def close(self) -> None:
        """Let what is running finish, and take nothing more."""
        self._pool.shutdown(wait=True)

    def _run(self, body: bytes) -> bool:
        try:
            return self._runtime.run(body)
        finally:
            self._free.release()
