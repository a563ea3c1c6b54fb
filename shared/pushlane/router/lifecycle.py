"""Table streams -> facts on the bus and the announcements topic."""

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from pushlane.model.errors import PushlaneError
from pushlane.model.events import Fact
from pushlane.ports import Change, FactSink, Message, MessageSender
from pushlane.router.facts import facts_of, published


class FactsNotPublished(PushlaneError):
    """The bus or the topic did not accept some facts; the stream delivers them again, `fact_id` deduplicates."""


class LifecyclePorts(Struct, frozen=True, kw_only=True):
    """What the lifecycle needs of the outside. `measure` is given the published facts, each batch once it is out."""

    sink: FactSink
    sender: MessageSender
    quarantine_queue_url: str
    log: Callable[..., None]
    measure: Callable[[Sequence[Fact]], None]


def publish_changes(ports: LifecyclePorts, changes: Sequence[Change]) -> int:
    """Publish what the changes amount to; returns the number of facts. Raises `FactsNotPublished`.

    A change that cannot be read goes to quarantine and does not block its shard.
    """
    facts = [fact for change in changes for fact in _readable(ports, change)]
    refused = ports.sink.publish(published(facts))
    if refused:
        raise FactsNotPublished(f"{len(refused)} of {len(facts)} facts were not accepted by the bus or the topic")
    ports.measure(facts)
    ports.log("facts", changes=len(changes), facts=len(facts))
    return len(facts)


def _readable(ports: LifecyclePorts, change: Change) -> list[Fact]:
    try:
        return facts_of(change)
    except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
        kept = {"code": "unreadable_change", "key": msgspec.to_builtins(change.key), "reason": str(error)[:500]}
        ports.log("unreadable-change", **kept)
        if ports.sender.send(ports.quarantine_queue_url, [Message(msgspec.json.encode(kept).decode())]):
            raise FactsNotPublished("the quarantine queue did not accept an unreadable change") from error
        return []
