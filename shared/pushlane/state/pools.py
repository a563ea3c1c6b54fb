"""All pools there are, and how to have every one looked at anew."""

from typing import Final

from pushlane.model.events import WakeUp
from pushlane.ports import ItemStore, Message, MessageSender, Table
from pushlane.state import keys
from pushlane.state.items import to_json

_POOLS_MAX: Final = 1_000
# Routers know a new policy within a second; a turn that came sooner would go by the old one.
POLICY_KNOWN_SECONDS: Final = 2


def registered_pools(store: ItemStore) -> list[str]:
    """The pools that have, or have borrowed, an agent."""
    return [item.key.sk for item in store.query(Table.SCHEDULER, keys.POOLS, limit=_POOLS_MAX)]


def wake_after_policy(store: ItemStore, sender: MessageSender, wakeups_queue_url: str, now_ms: int) -> int:
    """Have every pool go by a policy that was just set: a raised cap or rate then moves what waits for it, although
    nothing else happens. Returns how many wake-ups were not accepted; the next sweep makes them good.
    """
    due_ms = now_ms + POLICY_KNOWN_SECONDS * 1_000
    wakes = [
        Message(to_json(WakeUp(pool=pool, generation=0, due_ms=due_ms)), POLICY_KNOWN_SECONDS)
        for pool in registered_pools(store)
    ]
    return len(sender.send(wakeups_queue_url, wakes)) if wakes else 0
