"""Tasks that are asked for -> turns -> what became of each, as values. Queue doors quarantine what was refused and have
what is unresolved delivered again; the HTTP door answers. There is no other way in.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import Struct

from pushlane.model.errors import InvalidEvent, PushlaneError
from pushlane.model.policy import Policy
from pushlane.model.task import Status, Task
from pushlane.model.trace_context import task_trace
from pushlane.ports import Attributes
from pushlane.router.family import cancel_orphan
from pushlane.router.ports import RouterPorts
from pushlane.router.redelivery import push_again
from pushlane.router.refusal import met_before, never_admitted, no_room
from pushlane.router.resolution import Resolution, Resolved, input_key, met
from pushlane.router.turns import run_turn
from pushlane.scheduling.decisions import Overflow, Reject
from pushlane.scheduling.entry import entry_of
from pushlane.scheduling.snapshot import Arrival
from pushlane.state.items import new_task_attributes, task_of

# Ten arrivals and what they set in motion fit into one transaction of 100 items.
INPUTS_MAX: Final = 10


class Kind(StrEnum):
    """What became of a submission."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"  # the same key and body was accepted before: one task
    CONFLICT = "conflict"  # the same key with another body: never merged
    REFUSED = "refused"  # never accepted; `error` says why, `retry_after_seconds` when a repeat makes sense
    HELD = "held"  # its tenant is over its bound: nothing was written, look again after `retry_after_seconds`
    UNRESOLVED = "unresolved"  # a fault: nothing is known, the same submission may be repeated


class Verdict(Struct, frozen=True, kw_only=True):
    """What became of one submission. `stored`: of a duplicate, the task that is there. `unfinished`: it is accepted,
    and the push to its agent, or its cancellation with its parent, did not go out: whoever can deliver it again does
    so, and without that its start lease finds it.
    """

    kind: Kind
    task: Task
    resolution: Resolution | None = None
    stored: Attributes | None = None
    error: InvalidEvent | None = None
    retry_after_seconds: int | None = None
    unfinished: bool = False


class Acceptance:
    """Runs what is asked for through admission and turns."""

    def __init__(self, ports: RouterPorts) -> None:
        self._ports = ports

    def take(self, tasks: Sequence[Task]) -> list[Verdict]:
        """The verdict on each task, in their order. Raises only what the reads before a refusal raise."""
        policy, now_ms = self._ports.turn.policies.current(), self._ports.turn.clock.now_ms()
        bound = [self._bound(task) for task in tasks]
        tasks = [task for task, _ in bound]
        verdicts = [refused or self._at_the_door(task, policy, now_ms) for task, refused in bound]
        by_pool: dict[str, list[int]] = {}
        for index, task in enumerate(tasks):
            if verdicts[index] is None:
                by_pool.setdefault(task.pool, []).append(index)
        for pool, indexes in by_pool.items():
            for start in range(0, len(indexes), INPUTS_MAX):
                some = indexes[start : start + INPUTS_MAX]
                for index, verdict in zip(some, self._arrivals(pool, [tasks[i] for i in some]), strict=True):
                    verdicts[index] = verdict
        return [verdict for verdict in verdicts if verdict is not None]

    def repeated(self, task: Task) -> Verdict | None:
        """The verdict on a task that was accepted before; None when it was not. Nothing is written."""
        before = met_before(self._ports.turn.store, task)
        return None if before is None else self._settled(task, before)

    def _bound(self, task: Task) -> tuple[Task, Verdict | None]:
        """The task with the callback that it is accepted with, or why it cannot be told."""
        try:
            return self._ports.callbacks.bound(task), None
        except InvalidEvent as error:
            return task, self._refused(task, error, None)

    def _at_the_door(self, task: Task, policy: Policy, now_ms: int) -> Verdict | None:
        """What is decided without a turn; None when a turn decides."""
        if (error := never_admitted(task, policy)) is not None:
            return self._refused(task, error, None)
        delay_seconds = self._ports.held.over(task.pool, task.tenant_id, now_ms, task.tier)
        if delay_seconds is None:
            return None
        return Verdict(kind=Kind.HELD, task=task, retry_after_seconds=delay_seconds)

    def _refused(self, task: Task, error: InvalidEvent, retry_after_seconds: int | None) -> Verdict:
        """Refused before acceptance, unless an earlier delivery of it was accepted."""
        refused = Verdict(kind=Kind.REFUSED, task=task, error=error, retry_after_seconds=retry_after_seconds)
        return self.repeated(task) or refused

    def _arrivals(self, pool: str, tasks: Sequence[Task]) -> list[Verdict]:
        first: dict[str, Task] = {}
        for task in tasks:
            first.setdefault(task.task_id, task)
        policy = self._ports.turn.policies.current()
        arrivals = {task_id: Arrival(task, entry_of(task, policy)) for task_id, task in first.items()}
        resolved = self._overflowed(run_turn(self._ports, pool, list(arrivals.values())))
        verdicts: list[Verdict] = []
        for task in tasks:
            said = resolved.get(input_key(arrivals[task.task_id]))
            repeats = task is not first[task.task_id]  # within this very batch
            if said is not None and said.turned_away is None and repeats:
                stored = said.stored or new_task_attributes(first[task.task_id], Status.PARKED, 0)
                said = Resolved(met(task, stored), stored)
            verdicts.append(self._beside_its_parent(self._settled(task, said)))
        return verdicts

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

    def _settled(self, task: Task, said: Resolved | None) -> Verdict:
        resolution = Resolution.UNPUSHED if said is None else said.resolution
        self._ports.log(
            "intake",
            task_id=task.task_id,
            tenant_id=task.tenant_id,
            trace_id=task_trace(task).trace_id,
            resolution=resolution.value,
        )
        if said is None:
            return Verdict(kind=Kind.UNRESOLVED, task=task)
        match said.resolution:
            case Resolution.CONFLICT:
                reason = f"task {task.task_id} has this key and another body"
                error = InvalidEvent("$.data.idempotency_key", reason, "key_conflict")
                return Verdict(kind=Kind.CONFLICT, task=task, stored=said.stored, error=error)
            case Resolution.REJECTED if isinstance(said.turned_away, Reject):
                return self._refused(task, no_room(said.turned_away), said.turned_away.retry_after_seconds)
            case Resolution.REDELIVERED:
                return self._again(task, said)
            case Resolution.DUPLICATE:
                return Verdict(kind=Kind.DUPLICATE, task=task, resolution=said.resolution, stored=said.stored)
            case _:
                unpushed = said.resolution is Resolution.UNPUSHED
                return Verdict(kind=Kind.ACCEPTED, task=task, resolution=said.resolution, unfinished=unpushed)

    def _again(self, task: Task, said: Resolved) -> Verdict:
        """The very submission that made the task has come again: its attempt is pushed again if nobody started it."""
        ports = self._ports
        accepted = task if said.stored is None else task_of(said.stored)  # another pool may have taken it over
        pushed = push_again(ports.turn, ports.pusher, accepted, ports.turn.policies.current())
        return Verdict(
            kind=Kind.DUPLICATE, task=task, resolution=said.resolution, stored=said.stored, unfinished=not pushed
        )

    def _beside_its_parent(self, verdict: Verdict) -> Verdict:
        """What came after the end of the task that it is attached to ends with it."""
        if verdict.kind not in (Kind.ACCEPTED, Kind.DUPLICATE) or verdict.unfinished:
            return verdict
        task = verdict.task
        try:
            cancel_orphan(self._ports.turn, self._ports.pusher, task)
        except PushlaneError as error:
            self._ports.log("orphan-not-cancelled", task_id=task.task_id, error=str(error))
            return msgspec.structs.replace(verdict, unfinished=True)
        return verdict
