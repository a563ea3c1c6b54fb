"""What an attempt is told beside its task: where the one before it stopped, and every signal so far."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from pushlane.model.signals import SIGNALS_MAX, Signal
from pushlane.ports import Attributes, ItemStore, Table
from pushlane.state import keys
from pushlane.state.items import checkpoint_of, text

_signal_decoder = msgspec.json.Decoder(Signal)


class Briefing(Struct, frozen=True, kw_only=True):
    """Empty for a first attempt of a task that nobody has told anything."""

    checkpoint: dict[str, Any] | None = None
    signals: tuple[Signal, ...] = ()


def load_briefings(store: ItemStore, tasks: Mapping[str, Attributes]) -> dict[str, Briefing]:
    """The briefings of stored tasks: one read for each that has had signals, none for the others."""
    return {task_id: _briefing(store, task_id, stored) for task_id, stored in tasks.items()}


def _briefing(store: ItemStore, task_id: str, stored: Attributes) -> Briefing:
    signals = load_signals(store, task_id) if "signals" in stored else ()
    return Briefing(checkpoint=checkpoint_of(stored), signals=signals)


def load_signals(store: ItemStore, task_id: str) -> tuple[Signal, ...]:
    """The task's inbox, in the order of acceptance."""
    items = store.query(Table.TASKS, task_id, limit=SIGNALS_MAX + 1, start=keys.SIGNAL_PREFIX)
    found = [item for item in items if item.key.sk.startswith(keys.SIGNAL_PREFIX)]
    signals = [_signal_decoder.decode(text(item.attributes, "signal")) for item in found]
    return tuple(sorted(signals, key=lambda one: one.number))
