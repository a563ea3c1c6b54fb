"""The digest agent: a summary becomes a Markdown section, and sections become one page with an index.

Payload: a result of the summarize agent -> `{"section": {"name", "title", "markdown"}}`;
or `{"sections": [section, ...], "title"?}` -> `{"markdown"}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from examples.agents.documents.content import DocumentInvalid
from examples.agents.documents.digest import digest
from pushlane.agent import Permanent, TaskContext, agent
from pushlane.wiring.agents import lambda_handler


@agent(task_types=("digest",))
def work(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Write the section or the page; a payload that is neither fails for good."""
    try:
        written = digest(payload)
    except DocumentInvalid as error:
        raise Permanent(str(error)) from error
    ctx.log(f"wrote the {next(iter(written))}")
    return written


handler = lambda_handler(work)
