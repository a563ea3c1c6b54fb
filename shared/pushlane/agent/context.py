"""What the agent's function may ask and say while it works."""

from collections.abc import Callable
from typing import Any

import msgspec

from pushlane.model.attempt import Usage
from pushlane.model.errors import PushlaneError
from pushlane.model.events import Dispatch
from pushlane.ports import Clock, ConditionFailed, ItemStore, Scalar
from pushlane.state import attempts


class AttemptLost(PushlaneError):
    """This attempt is no longer the current one (its lease ran out, say): stop, its result would not be taken."""


class TaskContext:
    """One attempt, seen from inside. `attempt` counts from 1; `deadline_ms` is Unix milliseconds or None."""

    def __init__(
        self,
        dispatch: Dispatch,
        runner: str,
        *,
        store: ItemStore,
        clock: Clock,
        ends_at_ms: int,
        lease_grace_ms: int,
        log: Callable[..., None],
    ) -> None:
        self.task_id = dispatch.task_id
        self.tenant_id = dispatch.tenant_id
        self.task_type = dispatch.task_type
        self.attempt = dispatch.epoch
        self.deadline_ms = dispatch.deadline_ms
        self._key = attempts.attempt_item(dispatch.attempt_pk, dispatch.task_id)
        self._runner = runner
        self._store = store
        self._clock = clock
        self._ends_at_ms = ends_at_ms
        self._lease_grace_ms = lease_grace_ms
        self._log = log
        self._tokens: int | None = None
        self._resources: dict[str, int] = {}

    def remaining_seconds(self) -> float:
        """Time until the platform stops this invocation."""
        return max(0, self._ends_at_ms - self._clock.now_ms()) / 1_000

    def check_in(self, *, checkpoint: object = None, progress: object = None) -> None:
        """Prove that the attempt is alive and current, and store a checkpoint or progress (JSON values).

        Raises `AttemptLost` when it is not current any more.
        """
        more: dict[str, Scalar] = {}
        if checkpoint is not None:
            more["checkpoint"] = msgspec.json.encode(checkpoint).decode()
        if progress is not None:
            more["progress"] = msgspec.json.encode(progress).decode()
        lease_until_ms = self._ends_at_ms + self._lease_grace_ms
        try:
            self._store.write(attempts.check_in(self._key, self.attempt, self._runner, lease_until_ms, more))
        except ConditionFailed as error:
            raise AttemptLost(f"attempt {self.attempt} of {self.task_id} is not current any more") from error

    def used(self, *, tokens: int = 0, **resources: int) -> None:
        """Add to what this attempt really used: tokens in all, and so much of resources that the policy names
        (`ctx.used(tokens=850, **{"search-calls": 2})`). What is never reported counts as the task estimated it.

        Raises `ValueError` for less than nothing.
        """
        for name, amount in {"tokens": tokens, **resources}.items():
            if amount < 0:
                raise ValueError(f"used({name}={amount}): nothing is given back here, report 0 or more")
        if tokens or not resources:
            self._tokens = (self._tokens or 0) + tokens
        for name, amount in resources.items():
            self._resources[name] = self._resources.get(name, 0) + amount

    @property
    def usage(self) -> Usage:
        """All that was reported so far."""
        return Usage(tokens=self._tokens, resources=dict(self._resources))

    def log(self, message: str, **fields: Any) -> None:
        """One structured log line that carries the task's and the tenant's id. Never put payloads in it."""
        self._log(message, task_id=self.task_id, tenant_id=self.tenant_id, epoch=self.attempt, **fields)
