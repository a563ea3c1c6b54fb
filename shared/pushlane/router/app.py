"""The router: a batch of records from any of its event sources -> turns -> which records to deliver again."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from pushlane.model.attempt import OutcomeKind
from pushlane.model.errors import InvalidEvent, InvalidToken, PushlaneError
from pushlane.model.events import SET_POLICY_DETAIL_TYPE, FactName, WakeUp
from pushlane.model.ids import digest
from pushlane.model.task import Status, Task
from pushlane.ports import InvalidRequest
from pushlane.router.due import UNREADABLE, run_due
from pushlane.router.held import Held, HeldTenants, hold
from pushlane.router.intake import (
    Record,
    Rejection,
    normalise,
    record_of_held,
    record_of_kinesis,
    record_of_sqs,
    reject,
)
from pushlane.router.nudges import finished_of
from pushlane.router.push import Pusher
from pushlane.router.quarantine import Quarantine, record_fact
from pushlane.router.redelivery import push_again
from pushlane.router.refusal import met_before, never_admitted, rejection_of
from pushlane.router.resolution import Resolution, Resolved, input_key, met
from pushlane.router.set_policy import set_by_event
from pushlane.router.tenants import TenantDirectory
from pushlane.router.turn import Pressed, Turn, TurnPorts
from pushlane.scheduling.decisions import Overflow, Reject
from pushlane.scheduling.entry import entry_of
from pushlane.scheduling.snapshot import Arrival, Finished, Input
from pushlane.state.items import new_task_attributes, task_of
from pushlane.state.loading import load_retry_states

# Ten arrivals and what they set in motion fit into one transaction of 100 items.
INPUTS_MAX = 10
# A held record cannot be called back, so it is held for a short time, again and again if need be.
HOLD_MS = 15_000


class StreamBatchUnfinished(PushlaneError):
    """Some records of a Kinesis batch met a fault of the infrastructure. Raised, because not every backend honours a
    partial response for streams (`localstack/README.md`); on AWS the mapping halves the batch and tries again.
    """


class RouterPorts(Struct, frozen=True, kw_only=True):
    """The turn's ports, and what intake and completion need beside them. `log` takes an event name and its fields."""

    turn: TurnPorts
    pusher: Pusher
    tenants: TenantDirectory
    quarantine: Quarantine
    held: HeldTenants
    signing_key: Callable[[], bytes]
    accept_unsigned_tenant: bool
    results_queue_arn: str
    wakeups_queue_arn: str
    held_queue_arn: str
    held_queue_url: str
    log: Callable[..., None]


class Router:
    """Handles Lambda events of SQS and Kinesis mappings; answers with the partial batch response, and raises
    `StreamBatchUnfinished` where that would not be heard.
    """

    def __init__(self, ports: RouterPorts) -> None:
        self._ports = ports

    def handle(self, event: Mapping[str, Any]) -> dict[str, list[dict[str, str]]]:
        """Handle every record; a bad record never fails its neighbours. Returns `batchItemFailures`."""
        records = event["Records"]
        source = records[0].get("eventSourceARN") if records else None
        if source == self._ports.results_queue_arn:
            failed = self._results(records)
        elif source == self._ports.wakeups_queue_arn:
            failed = self._wakeups(records)
        elif records and records[0].get("eventSource") == "aws:kinesis":
            self._stream(records)
            failed = []
        elif source == self._ports.held_queue_arn:
            failed = self._intake([record_of_held(record) for record in records])
        else:
            failed = self._intake([record_of_sqs(record) for record in records])
        return {"batchItemFailures": [{"itemIdentifier": item_id} for item_id in failed]}

    def _stream(self, records: Sequence[Mapping[str, Any]]) -> None:
        """A stream's batch succeeds or comes again as a whole. What was taken of it is recognised when it does."""
        failed = self._intake([record_of_kinesis(record) for record in records])
        if failed:
            raise StreamBatchUnfinished(
                f"{len(failed)} of {len(records)} records were not taken; deliver the batch again"
            )

    def _intake(self, records: Sequence[Record]) -> list[str]:
        failed: list[str] = []
        accepted: dict[str, list[tuple[Record, Task]]] = {}
        held: list[Held] = []
        active = self._ports.tenants.active()
        policy, now_ms = self._ports.turn.policies.current(), self._ports.turn.clock.now_ms()
        for record in records:
            if record.detail_type == SET_POLICY_DETAIL_TYPE:
                failed += self._set_policy(record, now_ms)
                continue
            try:
                task = normalise(
                    record, now_ms, accept_unsigned_tenant=self._ports.accept_unsigned_tenant, tenants=active
                )
            except InvalidEvent as refused:
                failed += self._reject(reject(record, refused))
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

    def _set_policy(self, record: Record, now_ms: int) -> list[str]:
        try:
            made = set_by_event(record, self._ports.turn, now_ms, accept_unsigned=self._ports.accept_unsigned_tenant)
        except InvalidEvent as error:
            return self._reject(reject(record, error))
        except PushlaneError as error:
            self._ports.log("policy-not-set", error=str(error))
            return [record.item_id]
        self._ports.log("policy-set", revision=made.revision, changed_by=made.changed_by)
        return []

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
        resolved = self._overflowed(self._turn(pool, list(arrivals.values())))
        failed: list[str] = []
        for record, task in pairs:
            said = resolved.get(input_key(arrivals[task.task_id]))
            if said is not None and task is not first[task.task_id]:  # a repeat within this very batch
                stored = said.stored or new_task_attributes(first[task.task_id], Status.PARKED, 0)
                said = Resolved(met(task, stored), stored)
            failed += self._settle(record, task, said or Resolved(Resolution.UNPUSHED))
        return failed

    def _overflowed(self, resolved: dict[str, Resolved]) -> dict[str, Resolved]:
        """What a full lane could not take is offered to the pool that the policy names, once."""
        by_pool: dict[str, list[Arrival]] = {}
        for said in resolved.values():
            if isinstance(said.turned_away, Overflow):
                arrival, pool = said.turned_away.arrival, said.turned_away.pool
                task = msgspec.structs.replace(arrival.task, pool=pool, home_pool=arrival.task.pool)
                entry = msgspec.structs.replace(arrival.entry, home_pool=arrival.task.pool)
                by_pool.setdefault(pool, []).append(Arrival(task, entry))
        taken = {key: said for pool, moved in by_pool.items() for key, said in self._turn(pool, moved).items()}
        unsettled = {key for key, said in resolved.items() if said.resolution is Resolution.OVERFLOWED}
        return {key: said for key, said in resolved.items() if key not in unsettled} | taken

    def _settle(self, record: Record, task: Task, said: Resolved) -> list[str]:
        self._ports.log("intake", task_id=task.task_id, tenant_id=task.tenant_id, resolution=said.resolution.value)
        match said.resolution:
            case Resolution.CONFLICT:
                error = InvalidEvent(
                    "$.data.idempotency_key", f"task {task.task_id} has this key and another body", "key_conflict"
                )
                return self._reject(reject(record, error))
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
        return self._reject(rejection) if before is None else self._settle(record, task, before)

    def _reject(self, rejection: Rejection) -> list[str]:
        self._ports.log("rejected", code=rejection.code, field=rejection.field, door=rejection.record.source.door.value)
        try:
            self._ports.quarantine.keep(rejection)
        except PushlaneError as error:
            self._ports.log("quarantine-failed", error=str(error))
            return [rejection.record.item_id]
        return []

    def _results(self, messages: Sequence[Mapping[str, Any]]) -> list[str]:
        failed: list[str] = []
        by_pool: dict[str, dict[str, Finished]] = {}
        for message in messages:
            finished = self._finished(message)
            if finished is not None:
                pool, one = finished
                by_pool.setdefault(pool, {})[str(message["messageId"])] = one
        for pool, named in by_pool.items():
            inputs = self._with_retry(list(named.values()))
            resolved = self._turn(pool, inputs)
            for item_id, one in named.items():
                said = resolved.get(input_key(one))
                if said is None:
                    failed.append(item_id)
                elif said.resolution is Resolution.STALE:
                    self._stale(one)
        return failed

    def _finished(self, message: Mapping[str, Any]) -> tuple[str, Finished] | None:
        """The completion that a nudge announces; a forged or unreadable nudge is dropped (the attempt is the truth)."""
        try:
            return finished_of(message, self._ports.signing_key, self._ports.turn.clock.now_ms())
        except (msgspec.DecodeError, InvalidToken) as error:
            self._ports.log("nudge-refused", message_id=message["messageId"], error=str(error)[:200])
            return None

    def _with_retry(self, finished: Sequence[Finished]) -> list[Input]:
        """The next step after a failure depends on the task, so those read it (successes do not)."""
        unfinished = [(f.task_id, f.epoch) for f in finished if f.outcome.kind is not OutcomeKind.SUCCEEDED]
        states = load_retry_states(self._ports.turn.store, unfinished, self._ports.turn.policies.current())
        return [msgspec.structs.replace(one, retry=states.get((one.task_id, one.epoch))) for one in finished]

    def _stale(self, one: Finished) -> None:
        fact_id = digest("stale", one.task_id, str(one.epoch), one.runner)
        attributes: dict[str, str | int | bool | list[str]] = {
            "task_id": one.task_id,
            "epoch": one.epoch,
            "agent_id": one.reservation.agent_id,
            "reason": "the attempt was no longer current; its result was not taken",
        }
        record_fact(self._ports.turn.store, self._ports.turn.clock, FactName.RESULT_STALE, fact_id, attributes)

    def _wakeups(self, messages: Sequence[Mapping[str, Any]]) -> list[str]:
        """A turn for each pool that is woken; several wake-ups of a pool are one."""
        failed: list[str] = []
        by_pool: dict[str, list[str]] = {}
        for message in messages:
            try:
                pool = msgspec.json.decode(message["body"], type=WakeUp).pool
            except msgspec.DecodeError as error:
                self._ports.log("wakeup-refused", message_id=message["messageId"], error=str(error)[:200])
                continue
            by_pool.setdefault(pool, []).append(str(message["messageId"]))
        for pool, item_ids in by_pool.items():
            try:
                run_due(self._ports.turn, self._ports.pusher, pool)
            except (PushlaneError, *UNREADABLE) as error:
                self._ports.log("turn-failed", pool=pool, error=f"{type(error).__name__}: {error}")
                failed += item_ids
        return failed

    def _turn(self, pool: str, inputs: Sequence[Input]) -> dict[str, Resolved]:
        """One turn; a failure of infrastructure leaves its inputs unresolved, and they are delivered again."""
        turn = Turn(self._ports.turn, self._ports.pusher, pool)
        try:
            resolved = turn.run(inputs)
        except InvalidRequest as error:
            # One of them can never be stored as it is. Alone it does not hold up its neighbours.
            self._ports.log("turn-refused", pool=pool, inputs=len(inputs), error=str(error))
            alone = inputs if len(inputs) > 1 else []
            return {key: said for one in alone for key, said in self._turn(pool, [one]).items()}
        except PushlaneError as error:
            self._ports.log("turn-failed", pool=pool, error=str(error))
            return {}
        self._ports.log("turn", pool=pool, inputs=len(inputs), replans=turn.replans)
        self._hold_back(turn.pressed)
        return resolved

    def _hold_back(self, pressed: Collection[Pressed]) -> None:
        """Further submissions of tenants whose lanes are nearly full step aside for a while."""
        until_ms = self._ports.turn.clock.now_ms() + HOLD_MS
        for pool, tenant_id, tier in pressed:
            self._ports.held.note(pool, tenant_id, until_ms, tier)
