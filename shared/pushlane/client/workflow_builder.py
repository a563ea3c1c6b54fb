"""A workflow in a producer's words, node after node."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from pushlane.model.workflow import OnFailure

After = str | Mapping[str, str]


class Workflow(Struct, frozen=True):
    """Tasks and what each comes after. Every call returns a new workflow, so a part of one can be built on twice.

        Workflow("digest", "atlas", deadline_ms=...)
            .task("fetch", task_type="fetch", payload={"url": ...})
            .task("summarize", task_type="summarize", after=["fetch"])
            .task("notify", task_type="mail", after=["summarize", skip_without("fetch")])

    `settings` are further fields of the workflow: `tier`, `pool`, `labels`, `deadline_ms`, `deadline_kind`, ...
    Nothing is checked before it is submitted.
    """

    name: str
    tenant_id: str
    settings: Mapping[str, Any] = {}
    nodes: tuple[Mapping[str, Any], ...] = ()

    def task(self, name: str, *, task_type: str, after: Iterable[After] = (), **fields: Any) -> "Workflow":
        """One more node. `after`: names of the nodes it waits for; it fails if one of them does not succeed, unless
        `skip_without` or `even_without` says otherwise. `fields` are those of a task submitted alone.
        """
        edges = [one if isinstance(one, str) else dict(one) for one in after]
        node = {"name": name, "task_type": task_type, **fields, **({"depends_on": edges} if edges else {})}
        return msgspec.structs.replace(self, nodes=(*self.nodes, node))

    def with_settings(self, **settings: Any) -> "Workflow":
        """The same with further fields of the workflow set."""
        return msgspec.structs.replace(self, settings={**self.settings, **settings})

    def as_data(self) -> dict[str, Any]:
        """The `data` of the event."""
        return {"tenant_id": self.tenant_id, "name": self.name, **self.settings, "tasks": list(self.nodes)}


def skip_without(node: str) -> dict[str, str]:
    """After `node`; skipped (cancelled) if that does not succeed."""
    return {"node": node, "on_failure": OnFailure.SKIP.value}


def even_without(node: str) -> dict[str, str]:
    """After `node`, however that ends; the task's context says how it ended."""
    return {"node": node, "on_failure": OnFailure.CONTINUE.value}
