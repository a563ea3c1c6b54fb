"""Remove what is a tenant's from a table: item by item, each by what it is, and nothing that somebody still counts."""

from collections import Counter
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from pushlane.model.issuer import Issuer
from pushlane.model.task import Status
from pushlane.model.workflow import WorkflowStatus
from pushlane.ports import (
    AnyOf,
    ConditionFailed,
    Conditions,
    Delete,
    Equals,
    Item,
    ItemScanner,
    ItemStore,
    Key,
    Missing,
    Table,
)
from pushlane.state.connections import CONNECTION, disconnect
from pushlane.state.copied_log import place_key
from pushlane.state.event_log import HEAD, head_key, head_of
from pushlane.state.items import number, text
from pushlane.state.keys import TASK, WORKFLOW, task_key
from pushlane.state.measures import sample_without
from pushlane.state.ownership import owner_of, subject_of
from pushlane.state.principals import all_issuers, put_issuer, remove_issuer
from pushlane.state.schedules import load_schedule
from pushlane.state.workflows import workflow_key

_PAGE: Final = 100
_KNOWN_MAX: Final = 50_000
_ENDED: Final = frozenset(
    {one.value for one in Status if one.terminal} | {one.value for one in WorkflowStatus if one.terminal}
)
# What an item is called in the report, by how its partition's key begins.
_KINDS: Final = {
    (Table.CONFIG, "KEY"): "keys",
    (Table.CONFIG, "PRINCIPALS"): "roles",
    (Table.CONFIG, "SCHEDULE"): "schedules",
    (Table.CONFIG, "CALLBACK"): "callbacks",
    (Table.CONFIG, "HOOK"): "hooks",
    (Table.SCHEDULER, "LANES"): "lanes",
    (Table.SCHEDULER, "ACCOUNT"): "accounts",
    (Table.SCHEDULER, "TENANT"): "limits",
    (Table.SCHEDULER, "DELAYED"): "duties",
    (Table.CONNECTIONS, "CONNECTION"): "connections",
    (Table.CONNECTIONS, "SUB"): "subscriptions",
    (Table.TASKS, "FACT"): "facts",
    (Table.MEASURES, "TENANT"): "measures",
    (Table.MEASURES, "MEASURED"): "measures",
}
_EMPTY: Final = (AnyOf((Missing("depth"), Equals("depth", 0))),)
_UNUSED: Final = (AnyOf((Missing("in_flight"), Equals("in_flight", 0))),)


class Tables(ItemStore, ItemScanner, Protocol):
    """A store that can be read as a whole."""


class Removal:
    """`removed` and `left` count by kind. What is left is still counted by somebody: a lane with entries, an attempt
    that lives. It goes when that has ended.
    """

    def __init__(self, store: Tables, tenant_id: str, forget_schedule: Callable[[str], None]) -> None:
        self._store = store
        self._tenant_id = tenant_id
        self._forget_schedule = forget_schedule
        self._known: dict[str, bool] = {}
        self.removed: Counter[str] = Counter()
        self.left: Counter[str] = Counter()

    @property
    def count(self) -> int:
        return self.removed.total()

    def counted(self, kind: str, number: int = 1) -> None:
        self.removed[kind] += number

    def table(self, table: Table) -> None:
        """Remove what is the tenant's in one table; of the config table all but its registration."""
        self._known.clear()
        if table is Table.CONFIG:
            self._issuers()
        for item in self._store.scan(table):
            if self._is_mine(item):
                self._remove(item)
            elif (without := sample_without(item, self._tenant_id)) is not None:
                self._store.write(without)  # a sample of a pool is nobody's, and names who waited
                self.counted("samples")

    def _is_mine(self, item: Item) -> bool:
        owner = owner_of(item)
        if owner is not None:
            return owner == self._tenant_id
        subject = subject_of(item)
        return subject is not None and self._about_mine(subject)

    def _about_mine(self, subject: str) -> bool:
        """Whether a task, workflow or log is the tenant's; a log remembers it when the task is gone."""
        if subject not in self._known:
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            found = self._store.get([task_key(subject), workflow_key(subject), head_key(subject)])
            self._known[subject] = any(owner_of(item) == self._tenant_id for item in found.values())
        return self._known[subject]

    def _remove(self, item: Item) -> None:
        match item.key:
            case Key(table=Table.TASKS, sk=sk) if sk in (TASK, WORKFLOW):
                self._with_all_beside(item)
            case Key(table=Table.EVENTS):
                self._log(item)
            case Key(table=Table.CONNECTIONS, pk=pk, sk=sk) if sk == CONNECTION:
                disconnect(self._store, pk.partition("#")[2])
                self.counted("connections")
            case Key(table=Table.CONFIG, pk=pk) if pk.startswith("SCHEDULE#"):
                self._schedule(item)
            case Key(table=Table.CONFIG, pk="TENANTS"):
                return
            case Key(table=Table.ATTEMPTS):
                self.left["attempts"] += 1
            case _:
                self._alone(item)

    def _alone(self, item: Item) -> None:
        conditions: Conditions = ()
        prefix = item.key.pk.partition("#")[0]
        if item.key.table is Table.SCHEDULER:
            conditions = {"LANES": _EMPTY, "TENANT": _UNUSED if item.key.sk == "STATE" else ()}.get(prefix, ())
        kind = _KINDS.get((item.key.table, prefix), "other items")
        if item.key.table is Table.SCHEDULER and (prefix == "Q" or "entry" in item.attributes):
            self.left["waiting tasks"] += 1  # a lane counts it
            return
        try:
            self._store.write(Delete(item.key, conditions))
        except ConditionFailed:
            self.left[kind] += 1
        else:
            self.counted(kind)

    def _with_all_beside(self, item: Item) -> None:
        """The task's own item goes last: until then it says whose the others are. It has to have ended."""
        if text(item.attributes, "status") not in _ENDED:
            self.left["tasks"] += 1
            return
        self._partition(Table.TASKS, item.key.pk, but=item.key.sk)
        as_read = Equals("status", text(item.attributes, "status"))
        try:
            self._store.write(Delete(item.key, (as_read,)))
        except ConditionFailed:
            self.left["tasks"] += 1
        else:
            self.counted("workflows" if item.key.sk == WORKFLOW else "tasks")

    def _log(self, item: Item) -> None:
        """A log's HEAD goes last, after what it repeats of others."""
        if item.key.sk != HEAD:
            self._store.write(Delete(item.key))
            return
        self._partition(Table.EVENTS, place_key(item.key.pk, "-").pk)
        self._partition(Table.EVENTS, item.key.pk, but=HEAD)
        try:
            self._store.write(Delete(item.key, (Equals("last", number(item.attributes, "last")),)))
        except ConditionFailed:
            self.left["event logs"] += 1  # something was told meanwhile: it goes with the next look
            return
        self.counted("event logs")
        self.counted("events", head_of(item.attributes).last)

    def _partition(self, table: Table, pk: str, but: str = "") -> None:
        start = ""
        while page := [one.key for one in self._store.query(table, pk, limit=_PAGE, start=start)]:
            for key in page:
                if key.sk != but:
                    self._store.write(Delete(key))
            start = f"{page[-1].sk}!"  # sorts right behind it

    def _schedule(self, item: Item) -> None:
        schedule_id = item.key.pk.partition("#")[2]
        if load_schedule(self._store, schedule_id) is not None:
            self._forget_schedule(schedule_id)
        self._alone(item)

    def _issuers(self) -> None:
        """An issuer that may speak for others as well goes on doing that."""
        for issuer in all_issuers(self._store):
            if issuer.tenants is not None and self._tenant_id in issuer.tenants:
                self._without_tenant(issuer)
                self.counted("issuers")

    def _without_tenant(self, issuer: Issuer) -> None:
        others = tuple(one for one in issuer.tenants or () if one != self._tenant_id)
        if others:
            put_issuer(self._store, msgspec.structs.replace(issuer, tenants=others))
        else:
            remove_issuer(self._store, issuer.issuer)
