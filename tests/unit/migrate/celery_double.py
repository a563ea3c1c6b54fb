"""Celery as far as its signals go: what a producer and a worker of one process send."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any


class FakeSignal:
    """Keeps who is connected."""

    def __init__(self) -> None:
        self._receivers: list[Callable[..., None]] = []

    def connect(self, receiver: Callable[..., None], *, weak: bool) -> None:
        assert not weak  # a closure would be gone at once
        self._receivers.append(receiver)

    def send(self, **said: Any) -> None:
        for receiver in self._receivers:
            receiver(signal=self, sender=said.get("task"), **said)


class FakeSignals:
    """`celery.signals`."""

    def __init__(self) -> None:
        self.before_task_publish = FakeSignal()
        self.task_prerun = FakeSignal()
        self.task_postrun = FakeSignal()

    def run(self, task_id: str, *, state: str = "SUCCESS", on_request: bool = True, **kwargs: Any) -> None:
        """Publish a task, then run it; `on_request`: its headers stand on the request itself, as protocol 2 does it."""
        headers: dict[str, Any] = {"id": task_id}
        self.before_task_publish.send(headers=headers, body=None)
        own = {name: value for name, value in headers.items() if name != "id"}
        request = SimpleNamespace(kwargs=kwargs, **own) if on_request else SimpleNamespace(kwargs=kwargs, headers=own)
        task = SimpleNamespace(name="jobs.resize", request=request)
        self.task_prerun.send(task_id=task_id, task=task, args=(), kwargs=kwargs)
        self.task_postrun.send(task_id=task_id, task=task, state=state, retval=None)
