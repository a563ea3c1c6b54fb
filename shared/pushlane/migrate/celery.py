"""A Celery fleet, watched through Celery's own signals: nothing of Celery is imported here.

    from celery import signals
    from pushlane.migrate.celery import watch

    watch(signals, probe, tenant_of=lambda task: task.request.kwargs["tenant"])

Call it where producers are imported as well as in the workers: the time of publishing travels in a header.
"""

from collections.abc import Callable, MutableMapping
from typing import Any, Final, Protocol

from pushlane.migrate.instrument import Probe

ENQUEUED_AT: Final = "pushlane_enqueued_at_ms"


class Signal(Protocol):
    """As far as it is used here; Celery keeps weak references unless told otherwise."""

    def connect(self, receiver: Callable[..., None], *, weak: bool) -> Any: ...


class Signals(Protocol):
    """The module `celery.signals`, or anything with these three of its signals."""

    @property
    def before_task_publish(self) -> Signal: ...

    @property
    def task_prerun(self) -> Signal: ...

    @property
    def task_postrun(self) -> Signal: ...


def watch(
    signals: Signals,
    probe: Probe,
    *,
    tenant_of: Callable[[Any], str],
    deadline_ms_of: Callable[[Any], int | None] = lambda task: None,
) -> None:
    """Record every task that the workers of this process run. `tenant_of` and `deadline_ms_of` get the Celery task,
    bound to its request. Celery's workers hold their messages open, so there are no empty polls to count.
    """

    def published(headers: MutableMapping[str, Any] | None = None, **_: Any) -> None:
        if headers is not None:
            headers.setdefault(ENQUEUED_AT, probe.now_ms())

    def began(task_id: str, task: Any, **_: Any) -> None:
        probe.beside(
            lambda: probe.picked(
                task_id,
                tenant_of(task),
                enqueued_at_ms=_enqueued_at_ms(task),
                deadline_ms=deadline_ms_of(task),
                task_type=str(task.name),
            )
        )

    def over(task_id: str, task: Any, state: str = "SUCCESS", **_: Any) -> None:
        if state != "RETRY":
            probe.beside(lambda: probe.ended(task_id, tenant_of(task), succeeded=state == "SUCCESS"))

    signals.before_task_publish.connect(published, weak=False)
    signals.task_prerun.connect(began, weak=False)
    signals.task_postrun.connect(over, weak=False)


def _enqueued_at_ms(task: Any) -> int | None:
    """Custom headers stand on the request itself, or under `headers`, depending on Celery's version and protocol."""
    found = getattr(task.request, ENQUEUED_AT, None)
    if found is None:
        found = (getattr(task.request, "headers", None) or {}).get(ENQUEUED_AT)
    return None if found is None else int(found)
