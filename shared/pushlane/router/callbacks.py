"""Which callback a task gets at its acceptance: its own, or its tenant's default, which then stands on the task."""

from typing import Final, Protocol

import msgspec

from pushlane.model.callback import CallbackSettings, require_url
from pushlane.model.errors import InvalidEvent
from pushlane.model.target_url import PUBLIC_ONLY, TargetRules
from pushlane.model.task import Task
from pushlane.ports import Clock, ItemStore
from pushlane.router.tenants import TenantDirectory
from pushlane.state.callbacks import callback_settings

CACHE_MS: Final = 1_000
# So many tenants' settings are remembered; beyond it everything is read again.
_REMEMBERED_MAX: Final = 10_000
_URL: Final = "$.data.callback.url"
_CALLBACK: Final = "$.data.callback"


class CallbackDirectory:
    """Tenants' callback settings, as of at most a second ago."""

    def __init__(self, store: ItemStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._read: dict[str, tuple[int, CallbackSettings]] = {}

    def of(self, tenant_id: str) -> CallbackSettings | None:
        """The tenant's settings. That there are none is not remembered: who has just made some is not refused."""
        now_ms = self._clock.now_ms()
        at_ms, settings = self._read.get(tenant_id, (None, None))
        if at_ms is not None and settings is not None and 0 <= now_ms - at_ms < CACHE_MS:
            return settings
        found = callback_settings(self._store, tenant_id)
        if len(self._read) >= _REMEMBERED_MAX:
            self._read.clear()
        self._read.pop(tenant_id, None)
        if found is not None:
            self._read[tenant_id] = (now_ms, found)
        return found


class Binding(Protocol):
    """Gives tasks the callbacks that they are accepted with."""

    def bound(self, task: Task) -> Task:
        """The task with its callback; raises `InvalidEvent` for one that cannot be told."""
        ...


class NoCallbacks:
    """Where there is no courier to deliver any."""

    def bound(self, task: Task) -> Task:
        """See `Binding.bound`."""
        if task.callback is not None:
            reason = "this installation delivers no callbacks: deploy it with -c api=true"
            raise InvalidEvent(_CALLBACK, reason, "no_courier")
        return task


class Callbacks:
    """Where there is a courier. `rules`: which URLs it calls."""

    def __init__(
        self, directory: CallbackDirectory, tenants: TenantDirectory, rules: TargetRules = PUBLIC_ONLY
    ) -> None:
        self._directory = directory
        self._tenants = tenants
        self._rules = rules

    def bound(self, task: Task) -> Task:
        """See `Binding.bound`. A default is for what producers submit: parts of a whole (nodes of a workflow, tasks
        that agents submit) have the callback that they name, or none.
        """
        if task.callback is not None:
            self._require(task.tenant_id, task.callback.url)
            return task
        if task.workflow is not None or task.parent is not None or task.tenant_id not in self._tenants.with_callback():
            return task
        settings = self._directory.of(task.tenant_id)
        return task if settings is None else msgspec.structs.replace(task, callback=settings.default)

    def _require(self, tenant_id: str, url: str) -> None:
        require_url(url, self._rules, _URL)
        if self._directory.of(tenant_id) is None:
            reason = "the tenant has no secret to sign callbacks with: make one by `pushlane callbacks rotate`"
            raise InvalidEvent(_CALLBACK, reason, "no_callback_secret")
