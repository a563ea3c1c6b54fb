"""Facts that are no change of a task: items of their own in the tasks table, whose stream is the outbox."""

from typing import Final

from pushlane.model.events import FactName
from pushlane.ports import Absent, Put, Scalar
from pushlane.state.items import VERSION
from pushlane.state.keys import fact_key

_RETENTION_SECONDS: Final = 7 * 24 * 3600


def fact_put(name: FactName, fact_id: str, now_ms: int, attributes: dict[str, Scalar]) -> Put:
    """The write that records a fact, once per `fact_id`; alone, or in the transaction that makes it true."""
    common: dict[str, Scalar] = {
        "v": VERSION,
        "fact": name.value,
        "occurred_at_ms": now_ms,
        "expires_at_s": now_ms // 1_000 + _RETENTION_SECONDS,
    }
    return Put(fact_key(fact_id), {**common, **attributes}, (Absent(),))
