"""Erase a tenant: everything that it has here, and nothing of anybody else's.

First nothing new comes in: the tenant is marked as being erased, and every door refuses it. Then what lives is ended as
a router ends it, by commands, so that every slot and limit is given back by whoever counts it. Then all is removed,
table by table, and looked for again until nothing is found. It may be broken off anywhere and started again.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from msgspec import Struct

from pushlane.client.removal import Removal, Tables
from pushlane.client.tenants import begin_erasing
from pushlane.model.claim_check import claim_prefix
from pushlane.model.errors import PushlaneError
from pushlane.model.task import Status
from pushlane.model.workflow import WorkflowStatus
from pushlane.ports import Delete, ErasableBlobs, Item, Key, Table
from pushlane.state.items import text
from pushlane.state.keys import TASK, WORKFLOW, tenant_key

TIMEOUT_SECONDS: Final = 600.0
# Routers and authorizers know a status within a second.
KNOWN_SECONDS: Final = 1.5
_LOOK_SECONDS: Final = 2.0
# How often the cancellation of what lives is asked for again.
_ASK_SECONDS: Final = 20.0
# What was on its way (facts, emits, firings) arrives within this.
_SETTLE_SECONDS: Final = 3.0
_PASSES_MAX: Final = 6
_READ_MAX: Final = 100
# Who is let in goes first: then whatever breaks off, nothing of the tenant comes in. Tasks come after what is known to
# be the tenant's by them.
_ORDER: Final = (
    Table.CONFIG,
    Table.CONNECTIONS,
    Table.SCHEDULER,
    Table.EVENTS,
    Table.TASKS,
    Table.ATTEMPTS,
    Table.MEASURES,
)


class StillLiving(PushlaneError):
    """Some of the tenant's tasks have not ended yet, so nothing of it was removed. The tenant stays shut out."""

    def __init__(self, tenant_id: str, left: int, seconds: float) -> None:
        super().__init__(
            f"tenant {tenant_id}: {left} tasks or workflows have not ended after {seconds:g} s (an attempt that runs"
            " has its grace); nothing was removed, and nothing new comes in: run it again"
        )
        self.left = left


class Erased(Struct, frozen=True, kw_only=True):
    """What was removed, by kind. `left`: what could not be, so the tenant is still registered, and shut out; run it
    again. `complete`: the last look at everything found nothing.
    """

    tenant_id: str
    cancelled: int
    removed: dict[str, int]
    left: dict[str, int]
    complete: bool


class ErasurePorts(Struct, frozen=True, kw_only=True):
    """`cancel_task` and `cancel_workflow` send the command for an id; `forget_schedule` tells the scheduling service
    that a schedule is gone. `now` and `sleep` are in seconds.
    """

    store: Tables
    blobs: ErasableBlobs
    cancel_task: Callable[[str], object]
    cancel_workflow: Callable[[str], object]
    forget_schedule: Callable[[str], None]
    now: Callable[[], float]
    sleep: Callable[[float], None]
    told: Callable[[str], None] = lambda _said: None


class Erasure:
    """Erases one tenant."""

    def __init__(self, ports: ErasurePorts, tenant_id: str) -> None:
        self._ports = ports
        self._store = ports.store
        self._tenant_id = tenant_id
        self._removal = Removal(ports.store, tenant_id, ports.forget_schedule)
        self._cancelled = 0

    def run(self, timeout_seconds: float = TIMEOUT_SECONDS) -> Erased:
        """Erase it. Raises `StillLiving` when its tasks have not ended in time, and what the store raises: then run
        it again.
        """
        self._shut_out()
        self._removal.table(Table.CONFIG)
        self._end_what_lives(timeout_seconds)
        complete = self._remove()
        if complete:
            self._store.write(Delete(tenant_key(self._tenant_id)))
        left = dict(self._removal.left)
        return Erased(
            tenant_id=self._tenant_id,
            cancelled=self._cancelled,
            removed=dict(self._removal.removed),
            left=left,
            complete=complete,
        )

    def _shut_out(self) -> None:
        if begin_erasing(self._store, self._tenant_id) is None:
            return  # it is not registered (any more), so nothing comes in
        self._ports.told("shut out: every door refuses it")
        self._ports.sleep(KNOWN_SECONDS)

    def _end_what_lives(self, timeout_seconds: float) -> None:
        """Look, cancel, wait; and look again, because what was under way may have become a task meanwhile."""
        deadline = self._ports.now() + timeout_seconds
        while living := self._living():
            self._cancelled = max(self._cancelled, len(living))
            self._ports.told(f"{len(living)} tasks and workflows are ended")
            for key in living:
                (self._ports.cancel_workflow if key.sk == WORKFLOW else self._ports.cancel_task)(key.pk)
            asked_at = self._ports.now()
            while living and self._ports.now() - asked_at < _ASK_SECONDS:
                if self._ports.now() >= deadline:
                    raise StillLiving(self._tenant_id, len(living), timeout_seconds)
                self._ports.sleep(_LOOK_SECONDS)
                living = self._still(living)

    def _living(self) -> list[Key]:
        """Workflows first: with one its nodes end."""
        found = [
            item.key
            for item in self._store.scan(Table.TASKS)
            if item.key.sk in (TASK, WORKFLOW) and self._mine(item) and not over(item)
        ]
        return sorted(found, key=lambda key: (key.sk != WORKFLOW, key.pk))

    def _still(self, living: Sequence[Key]) -> list[Key]:
        left: list[Key] = []
        for part in _parts(living):
            found = self._store.get(part)
            left += [key for key in part if key in found and not over(found[key])]
        return left

    def _mine(self, item: Item) -> bool:
        return item.attributes.get("tenant_id") == self._tenant_id

    def _remove(self) -> bool:
        """Remove all there is, until a look at everything finds nothing twice; says whether it came to that."""
        quiet = 0
        for _ in range(_PASSES_MAX):
            before = self._removal.count
            self._removal.left.clear()
            for table in _ORDER:
                self._removal.table(table)
            self._claims()
            found = self._removal.count - before
            self._ports.told(f"{found} items removed" if found else "nothing found")
            quiet = 0 if found or self._removal.left else quiet + 1
            if quiet == 2:
                return True
            self._ports.sleep(_SETTLE_SECONDS)
        return False

    def _claims(self) -> None:
        found = list(self._ports.blobs.keys(claim_prefix(self._tenant_id)))
        if found:
            self._ports.blobs.delete(found)
            self._removal.counted("claims", len(found))


def over(item: Item) -> bool:
    """Whether a task or workflow has ended for good."""
    status = text(item.attributes, "status")
    return WorkflowStatus(status).terminal if item.key.sk == WORKFLOW else Status(status).terminal


def _parts(keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
    return (keys[start : start + _READ_MAX] for start in range(0, len(keys), _READ_MAX))
