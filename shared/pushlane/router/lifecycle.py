"""Table streams -> facts on the bus and the announcements topic, and to the streamer for the tasks' timelines."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol, TypeVar

import msgspec
from msgspec import Struct

from pushlane.model.errors import PushlaneError
from pushlane.model.events import Fact, FactName
from pushlane.model.keyring import KeyRing
from pushlane.model.timeline import sign_fact
from pushlane.ports import Change, FactSink, Message, MessageSender
from pushlane.router.facts import facts_of, published
from pushlane.router.proofs import log_of_fact
from pushlane.state.items import to_json

# They name a task that somebody asked for; whether there is one, and whose it is, they do not say.
_OF_NO_TASK: Final = frozenset({FactName.TASK_REJECTED, FactName.COMMAND_REFUSED})


class FactsNotPublished(PushlaneError):
    """Bus, topic or events queue did not accept some facts; the stream delivers them again, `fact_id` deduplicates."""


Done = TypeVar("Done")


class Beside(Protocol):
    """Begins some work, and says how to wait for what became of it (which raises what it raised)."""

    def __call__(self, work: Callable[[], Done], /) -> Callable[[], Done]: ...


def at_once(work: Callable[[], Done], /) -> Callable[[], Done]:
    done = work()
    return lambda: done


class LifecyclePorts(Struct, frozen=True, kw_only=True):
    """What the lifecycle needs of the outside. `measure` is given the facts of a batch that is out, and `trace`, which
    does not raise, the changes. `count` is given the changes too; a batch comes again when anything raises, so it
    counts each change once. `events_queue_url`: where tasks' timelines are told; empty: nowhere. `keyring` is called
    at the first fact of a task. `beside`: the events queue, bus and topic, and the count need not wait for each other.
    """

    sink: FactSink
    sender: MessageSender
    events_queue_url: str
    quarantine_queue_url: str
    keyring: Callable[[], KeyRing]
    log: Callable[..., None]
    measure: Callable[[Sequence[Fact]], None]
    count: Callable[[Sequence[Change]], object] = len
    trace: Callable[[Sequence[Change]], object] = len
    beside: Beside = at_once


def publish_changes(ports: LifecyclePorts, changes: Sequence[Change]) -> int:
    """Publish what the changes amount to; returns the number of facts. Raises `FactsNotPublished`.

    A change that cannot be read goes to quarantine and does not block its shard.
    """
    facts = [fact for change in changes for fact in _readable(ports, change)]
    messages = timeline_messages(facts, ports.keyring) if ports.events_queue_url else []
    # Somebody may be watching, so the live path goes first; bus and topic are told whatever became of it.
    told = ports.beside(lambda: ports.sender.send(ports.events_queue_url, messages) if messages else [])
    counted = ports.beside(lambda: ports.count(changes))
    refused = ports.sink.publish(published(facts))
    untold = told()
    counted()
    if refused:
        raise FactsNotPublished(f"{len(refused)} of {len(facts)} facts were not accepted by the bus or the topic")
    if untold:
        raise FactsNotPublished(f"{len(untold)} of {len(facts)} facts were not accepted by the events queue")
    ports.measure(facts)
    ports.trace(changes)
    ports.log("facts", changes=len(changes), facts=len(facts))
    return len(facts)


def timeline_messages(facts: Iterable[Fact], keyring: Callable[[], KeyRing]) -> list[Message]:
    """The facts of tasks and workflows as the streamer takes them: in order by log, signed. The signature is also what
    SQS knows them by, because what it could be foretold by, an agent could use up.
    """
    messages: list[Message] = []
    for fact in facts:
        log = log_of_fact(fact.data)
        if log is None or fact.data.tenant_id is None or fact.metadata.name in _OF_NO_TASK:
            continue
        recorded = sign_fact(to_json(fact).encode(), keyring())
        messages.append(Message(to_json(recorded), group=log, deduplication_id=recorded.signature))
    return messages


def _readable(ports: LifecyclePorts, change: Change) -> list[Fact]:
    try:
        return facts_of(change)
    except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
        kept = {"code": "unreadable_change", "key": msgspec.to_builtins(change.key), "reason": str(error)[:500]}
        ports.log("unreadable-change", **kept)
        if ports.sender.send(ports.quarantine_queue_url, [Message(msgspec.json.encode(kept).decode())]):
            raise FactsNotPublished("the quarantine queue did not accept an unreadable change") from error
        return []
