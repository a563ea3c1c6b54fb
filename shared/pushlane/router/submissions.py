"""Records of the queue doors -> tasks -> verdicts; what is refused is kept in quarantine and says why."""

from collections.abc import Sequence

from pushlane.model.decoding import NO_SUCH_FIELD
from pushlane.model.errors import InvalidEvent, PushlaneError
from pushlane.model.task import Task
from pushlane.router.acceptance import Acceptance, Kind, Verdict
from pushlane.router.family import tell_refused
from pushlane.router.held import Held, hold
from pushlane.router.intake import Record, Rejection, normalise, reject
from pushlane.router.ports import RouterPorts
from pushlane.router.vouching import Vouching


class Submissions:
    """Takes submissions in. Every method returns the records to deliver again."""

    def __init__(self, ports: RouterPorts) -> None:
        self._ports = ports
        self._acceptance = Acceptance(ports)
        self._vouching = Vouching(ports)

    def handle(self, records: Sequence[Record]) -> list[str]:
        """A bad record never fails its neighbours."""
        failed: list[str] = []
        readable: list[tuple[Record, Task]] = []
        now_ms = self._ports.turn.clock.now_ms()
        for record in records:
            try:
                task = normalise(record, now_ms, self._vouching.check)
            except InvalidEvent as refused:
                failed += self.reject(reject(record, refused))
            else:
                readable.append((record, task))
        verdicts = self._acceptance.take([task for _, task in readable])
        pairs = [(record, verdict) for (record, _), verdict in zip(readable, verdicts, strict=True)]
        failed += self._hold([_held(*pair) for pair in pairs if pair[1].kind is Kind.HELD])
        return failed + [item_id for pair in pairs for item_id in self._settle(*pair)]

    def _hold(self, held: Sequence[Held]) -> list[str]:
        """Submissions of tenants over their bound step aside before anything is written for them."""
        if not held:
            return []
        failed = hold(self._ports.turn.sender, self._ports.held_queue_url, held)
        self._ports.log("held", records=len(held), tenants=len({one.tenant_id for one in held}), refused=len(failed))
        return failed

    def _settle(self, record: Record, verdict: Verdict) -> list[str]:
        if verdict.kind is Kind.UNRESOLVED or verdict.unfinished:
            return [record.item_id]
        if verdict.kind in (Kind.CONFLICT, Kind.REFUSED) and verdict.error is not None:
            return self._turned_away(verdict.task, reject(record, verdict.error, verdict.retry_after_seconds))
        return []

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
        door, field = rejection.record.source.door.value, _loggable_field(rejection)
        self._ports.log("rejected", code=rejection.code, field=field, door=door)
        try:
            self._ports.quarantine.keep(rejection)
        except PushlaneError as error:
            self._ports.log("quarantine-failed", error=str(error))
            return [rejection.record.item_id]
        return []


def _loggable_field(rejection: Rejection) -> str:
    """A field that we do not know has a name of the sender's own, and that may say anything."""
    if rejection.reason != NO_SUCH_FIELD:
        return rejection.field
    return ".".join(rejection.field.split(".")[:2])


def _held(record: Record, verdict: Verdict) -> Held:
    return Held(record=record, tenant_id=verdict.task.tenant_id, delay_seconds=verdict.retry_after_seconds or 0)
