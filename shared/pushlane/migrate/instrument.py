"""Measure a polling fleet before anything is changed: how long tasks wait for a poller, how many polls find nothing,
which deadlines are missed, by tenant.

    from pushlane.migrate.instrument import JsonLines, Probe

    probe = Probe(JsonLines("fleet.jsonl"))
    while True:
        with probe.poll() as poll:
            rows = fetch_some()
            poll.found(len(rows))
        for row in rows:
            with probe.task(row.id, row.tenant, enqueued_at_ms=row.created_ms, deadline_ms=row.due_ms):
                work(row)

For an SQS consumer see `pushlane.migrate.sqs.watched`, for Celery `pushlane.migrate.celery.watch`. A probe never fails
the loop that it watches: what a sink raises is counted in `lost` and told once, on the logger.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial, wraps
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar

from pushlane.migrate.records import Ended, Picked, Polled, Record, line_of

P = ParamSpec("P")
Found = TypeVar("Found", bound=Sequence[object])

_logger = logging.getLogger(__name__)


class Sink(Protocol):
    """Where records go."""

    def keep(self, record: Record) -> None: ...


class JsonLines:
    """Appends to a file, a line a record; several threads and processes may share it."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._lock = threading.Lock()

    def keep(self, record: Record) -> None:
        line = line_of(record)
        with self._lock, self._path.open("ab", buffering=0) as file:
            file.write(line)  # one call in append mode: lines of other processes come before or after it


class Poll:
    """One look for work; what it found is said with `found`."""

    def __init__(self) -> None:
        self.count = 0

    def found(self, count: int) -> None:
        """So many tasks came of it."""
        self.count = count


class Probe:
    """Records what a poller does. `poller` names it (default: host, process and thread); `now_ms` is the clock."""

    def __init__(
        self,
        *sinks: Sink,
        poller: str | None = None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._sinks = sinks
        self._poller = poller
        self.now_ms = now_ms
        self.lost = 0

    @property
    def poller(self) -> str:
        if self._poller is not None:
            return self._poller
        return f"{socket.gethostname()}/{os.getpid()}/{threading.get_ident()}"

    @contextmanager
    def poll(self) -> Iterator[Poll]:
        """Around one look for work. A look that raises is recorded as one that found nothing."""
        poll = Poll()
        try:
            yield poll
        finally:
            self.polled(poll.count)

    def polling(self, fetch: Callable[P, Found]) -> Callable[P, Found]:
        """Decorates a function that looks for work and returns what it found, as a list."""

        @wraps(fetch)
        def watched(*args: P.args, **kwargs: P.kwargs) -> Found:
            with self.poll() as poll:
                found = fetch(*args, **kwargs)
                poll.found(len(found))
            return found

        return watched

    @contextmanager
    def task(
        self,
        task_id: str,
        tenant_id: str,
        *,
        enqueued_at_ms: int | None = None,
        deadline_ms: int | None = None,
        task_type: str = "task",
        tier: str = "normal",
    ) -> Iterator[None]:
        """Around the work on one task; an exception passes through and counts as a failure."""
        self.picked(
            task_id,
            tenant_id,
            enqueued_at_ms=enqueued_at_ms,
            deadline_ms=deadline_ms,
            task_type=task_type,
            tier=tier,
        )
        succeeded = False
        try:
            yield
            succeeded = True
        finally:
            self.ended(task_id, tenant_id, succeeded=succeeded)

    def polled(self, found: int) -> None:
        """A look for work is over."""
        self._keep(Polled(at_ms=self.now_ms(), poller=self.poller, found=found))

    def picked(
        self,
        task_id: str,
        tenant_id: str,
        *,
        enqueued_at_ms: int | None = None,
        deadline_ms: int | None = None,
        task_type: str = "task",
        tier: str = "normal",
    ) -> None:
        """The poller begins with a task now."""
        record = Picked(
            task_id=task_id,
            tenant_id=tenant_id,
            at_ms=self.now_ms(),
            poller=self.poller,
            enqueued_at_ms=enqueued_at_ms,
            deadline_ms=deadline_ms,
            task_type=task_type,
            tier=tier,
        )
        self._keep(record)

    def ended(self, task_id: str, tenant_id: str, *, succeeded: bool = True) -> None:
        """The task is over now."""
        self._keep(Ended(task_id=task_id, tenant_id=tenant_id, at_ms=self.now_ms(), succeeded=succeeded))

    def beside(self, note: Callable[[], None]) -> None:
        """Do what is only for the record, whatever becomes of it."""
        try:
            note()
        except Exception as error:  # a full disk, or a strange message, must not stop the fleet that is being watched
            if not self.lost:
                _logger.warning("records of the polling fleet are lost: %s: %s", type(error).__name__, error)
            self.lost += 1

    def _keep(self, record: Record) -> None:
        for sink in self._sinks:
            self.beside(partial(sink.keep, record))
