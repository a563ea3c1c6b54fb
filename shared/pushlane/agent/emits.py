"""What an attempt tells those who watch it: events on the FIFO queue, in order, each with its number."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pushlane.agent.attempt import LiveAttempt
from pushlane.model.emitted import PROGRESS, Emitted, emitted_group, emitted_id
from pushlane.ports import Message
from pushlane.state.items import to_json

DATA_BYTES_MAX: Final = 64 * 1024
KIND_CHARACTERS_MAX: Final = 64


def emit(live: LiveAttempt, kind: str, data: object) -> None:
    """Send one event; see `TaskContext.emit`."""
    if not 0 < len(kind) <= KIND_CHARACTERS_MAX:
        raise ValueError(f"emit: a kind has 1 to {KIND_CHARACTERS_MAX} characters, this one has {len(kind)}")
    size = len(msgspec.json.encode(data))
    if size > DATA_BYTES_MAX:
        raise ValueError(f"emit({kind!r}): {size} bytes, at most {DATA_BYTES_MAX}: store it and emit where it lies")
    live.progressed()
    live.emitted += 1
    one = Emitted(
        token=live.dispatch.token,
        task_id=live.dispatch.task_id,
        epoch=live.dispatch.epoch,
        runner=live.runner,
        number=live.emitted,
        kind=kind,
        data=data,
        emitted_at_ms=live.now_ms(),
    )
    message = Message(to_json(one), group=emitted_group(one.task_id), deduplication_id=emitted_id(one))
    if live.ports.sender.send(live.ports.events_queue_url, [message]):
        live.ports.log("emit-lost", task_id=one.task_id, epoch=one.epoch, reason="the events queue did not take it")


def progress(live: LiveAttempt, said: float | Mapping[str, Any]) -> None:
    """Store how far the work is, and tell those who watch; see `TaskContext.progress`."""
    if isinstance(said, Mapping):
        value: Mapping[str, Any] = said
    elif 0 <= said <= 1:
        value = {"fraction": said}
    else:
        raise ValueError(f"progress({said}): a fraction is from 0 to 1; for anything else give an object")
    live.say({"progress": to_json(value)})
    emit(live, PROGRESS, value)
