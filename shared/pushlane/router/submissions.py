"""Records of any door -> tasks -> turns, or a refusal that says why."""

from collections.abc import Sequence

import msgspec

from pushlane.model.errors import InvalidEvent, PushlaneError
from pushlane.model.task import Status, Task
from pushlane.router.family import cancel_orphan, tell_refused
from pushlane.router.held import Held, hold
from pushlane.router.intake import Record, Rejection, normalise, reject
from pushlane.router.ports import RouterPorts
from pushlane.router.redelivery import push_again
from pushlane.router.refusal import met_before, never_admitted, rejection_of
from pushlane.router.resolution import Resolution, Resolved, input_key, met
from pushlane.router.turns import run_turn
from pushlane.scheduling.decisions import Overflow, Reject
from pushlane.scheduling.entry import entry_of
from pushlane.scheduling.snapshot import Arrival
from pushlane.state.items import new_task_attributes, task_of

# Ten arrivals and what they set in motion fit into one transaction of 100 items.
INPUTS_MAX = 10


class Submissions:
    """Takes submissions in. Every method returns the records to deliver again."""

    def __init__(self, ports: RouterPorts) -> None:
        self._ports = ports

    def handle(self, records: Sequence[Record]) -> list[str]:
        """A bad record never fails its neighbours."""
        failed: list[str] = []
        accepted: dict[str, list[tuple[Record, Task]]] = {}
        held: list[Held] = []
        active = self._ports.tenants.active() if records else frozenset[str]()
        policy, now_ms = self._ports.turn.policies.current(), self._ports.turn.clock.now_ms()
        for record in records:
            try:
                task = normalise(
                    record, now_ms, accept_unsigned_tenant=self._ports.accept_unsigned_tenant, tenants=active
                )
            except InvalidEvent as refused:
                failed += self.reject(reject(record, refused))
                continue
            if (error := never_admitted(task, policy)) is not None:
                failed += self._refuse(record, task, reject(record, error))
                continue
            if (delay_seconds := self._ports.held.over(task.pool, task.tenant_id, now_ms, task.tier)) is not None:
                held.append(Held(record=record, tenant_id=task.tenant_id, delay_seconds=delay_seconds))
            else:
                accepted.setdefault(task.pool, []).append((record, task))
        failed += self._hold(held)
        for pool, pairs in accepted.items():
            for start in range(0, len(pairs), INPUTS_MAX):
                failed += self._arrivals(pool, pairs[start : start + INPUTS_MAX])
        return failed

    def _hold(self, held: Sequence[Held]) -> list[str]:
        """Submissions of tenants over their bound step aside before anything is written for them."""
        if not held:
            return []
        failed = hold(self._ports.turn.sender, self._ports.held_queue_url, held)
        self._ports.log("held", records=len(held), tenants=len({one.tenant_id for one in held}), refused=len(failed))
        return failed

    def _arrivals(self, pool: str, pairs: Sequence[tuple[Record, Task]]) -> list[str]:
        first: dict[str, Task] = {}
        for _, task in pairs:
            first.setdefault(task.task_id, task)
        policy = self._ports.turn.policies.current()
        arrivals = {task_id: Arrival(task, entry_of(task, policy)) for task_id, task in first.items()}
        resolved = self._overflowed(run_turn(self._ports, pool, list(arrivals.values())))
        failed: list[str] = []
        for record, task in pairs:
            said = resolved.get(input_key(arrivals[task.task_id]))
            repeats = task is not first[task.task_id]  # within this very batch
            if said is not None and said.turned_away is None and repeats:
                stored = said.stored or new_task_attributes(first[task.task_id], Status.PARKED, 0)
                said = Resolved(met(task, stored), stored)
            failed += self._settle(record, task, said or Resolved(Resolution.UNPUSHED)) or self._orphan(record, task)
        return failed

    def _orphan(self, record: Record, task: Task) -> list[str]:
        """What came after the end of the task that it is attached to ends with it."""
        try:
            cancel_orphan(self._ports.turn, self._ports.pusher, task)
        except PushlaneError as error:
            self._ports.log("orphan-not-cancelled", task_id=task.task_id, error=str(error))
            return [record.item_id]
        return []

    def _overflowed(self, resolved: dict[str, Resolved]) -> dict[str, Resolved]:
        """What a full lane could not take is offered to the pool that the policy names, once."""
        by_pool: dict[str, list[Arrival]] = {}
        for said in resolved.values():
            if isinstance(said.turned_away, Overflow):
                arrival, pool = said.turned_away.arrival, said.turned_away.pool
                task = msgspec.structs.replace(arrival.task, pool=pool, home_pool=arrival.task.pool)
                entry = msgspec.structs.replace(arrival.entry, home_pool=arrival.task.pool)
                by_pool.setdefault(pool, []).append(Arrival(task, entry))
        taken: dict[str, Resolved] = {}
        for pool, moved in by_pool.items():
            taken |= run_turn(self._ports, pool, moved)
        unsettled = {key for key, said in resolved.items() if said.resolution is Resolution.OVERFLOWED}
        return {key: said for key, said in resolved.items() if key not in unsettled} | taken

    def _settle(self, record: Record, task: Task, said: Resolved) -> list[str]:
        self._ports.log("intake", task_id=task.task_id, tenant_id=task.tenant_id, resolution=said.resolution.value)
        match said.resolution:
            case Resolution.CONFLICT:
                error = InvalidEvent(
                    "$.data.idempotency_key", f"task {task.task_id} has this key and another body", "key_conflict"
                )
                return self._turned_away(task, reject(record, error))
            case Resolution.REJECTED if isinstance(said.turned_away, Reject):
                return self._refuse(record, task, rejection_of(record, said.turned_away))
            case Resolution.UNPUSHED:
                return [record.item_id]
            case Resolution.REDELIVERED:
                policy = self._ports.turn.policies.current()
                accepted = task if said.stored is None else task_of(said.stored)  # another pool may have taken it over
                pushed = push_again(self._ports.turn, self._ports.pusher, accepted, policy)
                return [] if pushed else [record.item_id]
            case _:
                return []

    def _refuse(self, record: Record, task: Task, rejection: Rejection) -> list[str]:
        """Refused before acceptance and kept in quarantine, unless an earlier delivery of it was accepted."""
        before = met_before(self._ports.turn.store, task)
        return self._turned_away(task, rejection) if before is None else self._settle(record, task, before)

    def _turned_away(self, task: Task, rejection: Rejection) -> list[str]:
        """Kept in quarantine; and the task that it was to be attached to does not wait for it."""
        if failed := self.reject(rejection):
            return failed
        try:
            tell_refused(self._ports.turn, self._ports.pusher, task, rejection.reason)
        except PushlaneError as error:
            self._ports.log("refusal-not-told", task_id=task.task_id, error=str(error))
            return [rejection.record.item_id]
        return []

    def reject(self, rejection: Rejection) -> list[str]:
        self._ports.log("rejected", code=rejection.code, field=rejection.field, door=rejection.record.source.door.value)
        try:
            self._ports.quarantine.keep(rejection)
        except PushlaneError as error:
            self._ports.log("quarantine-failed", error=str(error))
            return [rejection.record.item_id]
        return []
