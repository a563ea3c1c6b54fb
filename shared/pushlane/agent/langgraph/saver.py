"""A LangGraph checkpointer whose store is the task's own checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    CheckpointTuple,
    get_checkpoint_id,
    get_checkpoint_metadata,
    writes_sort_key,
)
from langgraph.checkpoint.serde.types import INTERRUPT

from pushlane.agent.langgraph.memory import GraphMemory, Packed, PackedWrite, Place

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
    from langgraph.checkpoint.serde.base import SerializerProtocol


class TaskSaver(BaseCheckpointSaver[int]):
    """Keeps the newest checkpoint of one thread (the task) and of its subgraphs; no history. For synchronous graphs."""

    def __init__(self, memory: GraphMemory, *, serde: SerializerProtocol | None = None) -> None:
        super().__init__(serde=serde)
        self.memory = memory

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        namespace = config["configurable"].get("checkpoint_ns", "")
        place = self.memory.place(namespace, get_checkpoint_id(config))
        return None if place is None else self._tuple(config["configurable"]["thread_id"], namespace, place)

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - the name is LangGraph's
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """The newest checkpoint, if it is asked for: there are no others."""
        newest = None if config is None else self.get_tuple(config)
        if newest is None or limit == 0:
            return
        if before is not None and newest.checkpoint["id"] >= (get_checkpoint_id(before) or ""):
            return
        if all(newest.metadata.get(name) == value for name, value in (filter or {}).items()):
            yield newest

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        named = config["configurable"]
        place = Place(
            checkpoint_id=checkpoint["id"],
            parent_id=get_checkpoint_id(config),
            checkpoint=self._packed(checkpoint),
            metadata=self._packed(get_checkpoint_metadata(config, metadata)),
        )
        self.memory.put(named["checkpoint_ns"], place)
        return _config(named["thread_id"], named["checkpoint_ns"], checkpoint["id"])

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        named = config["configurable"]
        packed = [
            PackedWrite(task_id, WRITES_IDX_MAP.get(channel, index), task_path, channel, self._packed(value))
            for index, (channel, value) in enumerate(writes)
        ]
        asked = [one.id for channel, value in writes if channel == INTERRUPT for one in value]
        self.memory.put_writes(named.get("checkpoint_ns", ""), named["checkpoint_id"], packed, asked)

    def delete_thread(self, thread_id: str) -> None:
        self.memory.forget_all()

    def _tuple(self, thread_id: str, namespace: str, place: Place) -> CheckpointTuple:
        ordered = sorted(place.writes, key=lambda one: writes_sort_key(one.path, one.task_id, one.index))
        return CheckpointTuple(
            config=_config(thread_id, namespace, place.checkpoint_id),
            checkpoint=self._unpacked(place.checkpoint),
            metadata=self._unpacked(place.metadata),
            parent_config=None if place.parent_id is None else _config(thread_id, namespace, place.parent_id),
            pending_writes=[(one.task_id, one.channel, self._unpacked(one.value)) for one in ordered],
        )

    def _packed(self, value: Any) -> Packed:
        return Packed(*self.serde.dumps_typed(value))

    def _unpacked(self, packed: Packed) -> Any:
        return self.serde.loads_typed((packed.kind, packed.content))


def _config(thread_id: str, namespace: str, checkpoint_id: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": namespace, "checkpoint_id": checkpoint_id}}
