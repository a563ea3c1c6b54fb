"""What a test may ask of the dispatcher: its tasks, attempts, facts and queues."""

from collections.abc import Mapping
from typing import Any

import msgspec

from pushlane.inmemory import InMemoryItemStore, InMemorySender, InMemorySink
from pushlane.model.events import Fact, FactName
from pushlane.model.task import DEFAULT_POOL
from pushlane.ports import Attributes, Item, Table
from pushlane.state import keys
from pushlane.state.items import text

QUARANTINE = "queue/quarantine"


class Views:
    """Reads only; except that `quarantined` takes out what it shows."""

    store: InMemoryItemStore
    sender: InMemorySender
    sink: InMemorySink

    @property
    def facts(self) -> list[Fact]:
        """Everything that was published, in order."""
        return [msgspec.json.decode(fact.body, type=Fact) for fact in self.sink.published]

    def facts_of(self, name: FactName, task_id: str | None = None) -> list[Fact]:
        """The published facts of one name, or those of them that are about one task."""
        named = [fact for fact in self.facts if fact.metadata.name is name]
        return [fact for fact in named if task_id is None or fact.data.task_id == task_id]

    def task(self, task_id: str) -> Attributes | None:
        """The stored task's attributes."""
        key = keys.task_key(task_id)
        item = self.store.get([key]).get(key)
        return item.attributes if item else None

    def status(self, task_id: str) -> str | None:
        stored = self.task(task_id)
        return text(stored, "status") if stored else None

    def statuses(self, *task_ids: str) -> list[str | None]:
        return [self.status(task_id) for task_id in task_ids]

    def result(self, task_id: str) -> Mapping[str, Any]:
        """The result of a succeeded task; raises `KeyError` for any other."""
        stored = self.task(task_id)
        if stored is None:
            raise KeyError(task_id)
        decoded: Mapping[str, Any] = msgspec.json.decode(text(stored, "result"))
        return decoded

    def live_attempts(self, pool: str = DEFAULT_POOL) -> list[Item]:
        """The pool's attempts that have not ended, those on lent agents too."""
        buckets = [keys.attempt_pk(pool, bucket) for bucket in range(keys.ATTEMPT_BUCKETS)]
        return [item for pk in buckets for item in self.store.query(Table.ATTEMPTS, pk, limit=10_000)]

    def used(self, agent_id: str, pool: str = DEFAULT_POOL) -> int:
        """How many slots of the agent are reserved."""
        key = keys.agent_key(pool, agent_id)
        return int(str(self.store.get([key])[key].attributes["used"]))

    def waiting(self, pool: str = DEFAULT_POOL) -> int:
        """How many tasks are parked in the pool's lanes."""
        lanes = [item for item in self.store.items(Table.SCHEDULER) if item.key.pk.startswith(f"LANES#{pool}#")]
        return sum(int(str(item.attributes["depth"])) for item in lanes)

    def quarantined(self) -> list[dict[str, Any]]:
        """Takes out what lies in quarantine."""
        return [msgspec.json.decode(message.body) for message in self.sender.drain(QUARANTINE)]
