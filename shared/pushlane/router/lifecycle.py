"""Table streams -> facts on the bus and the announcements topic, and to the streamer for the tasks' timelines."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from pushlane.model.errors import PushlaneError
from pushlane.model.events import Fact, FactName
from pushlane.model.timeline import Recorded, sign_fact
from pushlane.ports import Change, FactSink, Message, MessageSender
from pushlane.router.facts import facts_of, published
from pushlane.state.items import to_json

# They name a task that somebody asked for; whether there is one, and whose it is, they do not say.
_OF_NO_TASK: Final = frozenset({FactName.TASK_REJECTED, FactName.COMMAND_REFUSED})


class FactsNotPublished(PushlaneError):
    """Bus, topic or events queue did not accept some facts; the stream delivers them again, `fact_id` deduplicates."""


Sending = Callable[[], list[int]]


def in_turn(work: Sending) -> Sending:
    """Do it now, for where nothing runs beside."""
    done = work()
    return lambda: done


class LifecyclePorts(Struct, frozen=True, kw_only=True):
    """What the lifecycle needs of the outside. `measure` is given the published facts, each batch once it is out.
    `events_queue_url`: where tasks' timelines are told; empty: nowhere. `signing_key` is called at the first fact of a
    task. `beside` starts a sending and gives a way to wait for what it returns: a stream's shard waits for this
    function.
    """

    sink: FactSink
    sender: MessageSender
    events_queue_url: str
    quarantine_queue_url: str
    signing_key: Callable[[], bytes]
    log: Callable[..., None]
    measure: Callable[[Sequence[Fact]], None]
    beside: Callable[[Sending], Sending] = in_turn


def publish_changes(ports: LifecyclePorts, changes: Sequence[Change]) -> int:
    """Publish what the changes amount to; returns the number of facts. Raises `FactsNotPublished`.

    A change that cannot be read goes to quarantine and does not block its shard.
    """
    facts = [fact for change in changes for fact in _readable(ports, change)]
    messages = timeline_messages(facts, ports.signing_key) if ports.events_queue_url else []
    told = ports.beside(lambda: ports.sender.send(ports.events_queue_url, messages))
    refused = ports.sink.publish(published(facts))
    untold = told()
    if refused:
        raise FactsNotPublished(f"{len(refused)} of {len(facts)} facts were not accepted by the bus or the topic")
    if untold:
        raise FactsNotPublished(f"{len(untold)} of {len(facts)} facts were not accepted by the events queue")
    ports.measure(facts)
    ports.log("facts", changes=len(changes), facts=len(facts))
    return len(facts)


def timeline_messages(facts: Iterable[Fact], signing_key: Callable[[], bytes]) -> list[Message]:
    """The facts of tasks as the streamer takes them: in order by task, signed. The signature is also what SQS knows
    them by, because what it could be foretold by, an agent could use up.
    """
    messages: list[Message] = []
    for fact in facts:
        if fact.data.task_id is None or fact.data.tenant_id is None or fact.metadata.name in _OF_NO_TASK:
            continue
        body = to_json(fact).encode()
        signature = sign_fact(body, signing_key())
        recorded = Recorded(signature=signature, fact=msgspec.Raw(body))
        messages.append(Message(to_json(recorded), group=fact.data.task_id, deduplication_id=signature))
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
