"""What cannot become a task is kept with its reason and said out loud: a quarantine message, a `TaskRejected` fact."""

from pushlane.model.commands import COMMANDS
from pushlane.model.errors import PushlaneError
from pushlane.model.events import SET_POLICY_DETAIL_TYPE, FactName
from pushlane.model.ids import digest
from pushlane.ports import Clock, ConditionFailed, ItemStore, Message, MessageSender, Scalar
from pushlane.router.intake import Rejection
from pushlane.state.facts import fact_put
from pushlane.state.items import to_json

# A byte can take six in JSON (a control character), and a message holds 1 MB.
_KEPT_BODY_BYTES = 160_000


class QuarantineUnavailable(PushlaneError):
    """The quarantine queue did not accept a rejected record; its delivery is repeated so that nothing is lost."""


class Quarantine:
    """Rejections go to the queue first and become a fact second: a record that is delivered again repeats both, and
    both have the identity of the record (a repeated fact is the same fact).
    """

    def __init__(self, store: ItemStore, sender: MessageSender, clock: Clock, queue_url: str) -> None:
        self._store = store
        self._sender = sender
        self._clock = clock
        self._queue_url = queue_url

    def keep(self, rejection: Rejection) -> None:
        """Keep the record and publish the fact; raises `QuarantineUnavailable`."""
        if self._sender.send(self._queue_url, [Message(_kept(rejection))]):
            raise QuarantineUnavailable("the quarantine queue did not accept the record; it will be delivered again")
        record = rejection.record
        fact_id = digest("rejected", record.source.door, record.source.source_id, rejection.field)
        attributes: dict[str, Scalar] = {
            "door": record.source.door.value,
            "field": rejection.field,
            "reason": rejection.reason,
            "code": rejection.code,
        }
        if rejection.tenant_id is not None:
            attributes["tenant_id"] = rejection.tenant_id
        if rejection.retry_after_seconds is not None:
            attributes["retry_after_seconds"] = rejection.retry_after_seconds
        refused_policy = record.name == SET_POLICY_DETAIL_TYPE
        name = FactName.POLICY_REFUSED if refused_policy else FactName.TASK_REJECTED
        if record.name in COMMANDS:
            name = FactName.COMMAND_REFUSED
        record_fact(self._store, self._clock, name, fact_id, attributes)


def record_fact(store: ItemStore, clock: Clock, name: FactName, fact_id: str, attributes: dict[str, Scalar]) -> None:
    """Write a fact that is no change of a task; the stream of the tasks table carries it out. Once per `fact_id`."""
    try:
        store.write(fact_put(name, fact_id, clock.now_ms(), attributes))
    except ConditionFailed:
        return  # said before


def _kept(rejection: Rejection) -> str:
    body = rejection.record.body
    kept: dict[str, Scalar | None] = {
        "door": rejection.record.source.door.value,
        "source_id": rejection.record.source.source_id,
        "tenant_id": rejection.tenant_id,
        "code": rejection.code,
        "field": rejection.field,
        "reason": rejection.reason,
        "body": body[:_KEPT_BODY_BYTES].decode(errors="replace"),
        "body_bytes": len(body),
    }
    if rejection.record.bound_tenant is not None:
        kept["bound_tenant"] = rejection.record.bound_tenant
    if rejection.retry_after_seconds is not None:
        kept["retry_after_seconds"] = rejection.retry_after_seconds
    return to_json(kept)
