"""What a task of a workflow is told of its parents: how each ended, and the results of those that succeeded."""

from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.model.claim_check import INLINE_BYTES_MAX
from pushlane.model.task import Task
from pushlane.model.workflow import ParentResult
from pushlane.ports import Attributes, BlobStore, ItemStore
from pushlane.router.claimed import as_claim
from pushlane.state.items import status_of, text
from pushlane.state.loading import load_task_items

_object_decoder: Final = msgspec.json.Decoder(dict[str, Any])


class Parents(Struct, frozen=True, kw_only=True):
    """The parents by node; or, where they are too large for a message, the claim check of the same object."""

    inline: dict[str, ParentResult] = {}
    claim: dict[str, Any] | None = None


def parents_of(store: ItemStore, blobs: BlobStore, task: Task) -> Parents:
    """The parents of a task that its workflow let go; raises `StoreUnavailable`."""
    edges = task.workflow.parents if task.workflow is not None else ()
    if not edges:
        return Parents()
    stored = load_task_items(store, [edge.task_id for edge in edges])
    inline = {edge.node: _result(stored[edge.task_id]) for edge in edges if edge.task_id in stored}
    if len(msgspec.json.encode(inline)) <= INLINE_BYTES_MAX:
        return Parents(inline=inline)
    return Parents(claim=as_claim(blobs, task.tenant_id, inline))


def _result(stored: Attributes) -> ParentResult:
    result = _object_decoder.decode(text(stored, "result")) if "result" in stored else None
    return ParentResult(status=status_of(stored).value, result=result)
