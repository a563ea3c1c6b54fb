"""The extract agent: a Markdown or HTML document becomes its outline, links, key terms and prose with source lines.

Payload: `{"document": {"name", "media_type": "text/markdown" | "text/html", "text", "url_base"?}}`.
Result: `{"document": {"name", "title", "media_type", "lines"}, "outline", "links", "key_terms", "body"}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from examples.agents.documents.content import DocumentInvalid
from examples.agents.documents.extraction import extract, raw_of
from examples.agents.documents.payloads import payload_of
from pushlane.agent import Permanent, TaskContext, agent
from pushlane.wiring.agents import lambda_handler


@agent(task_types=("extract",))
def work(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Extract the document; one that can never be read fails for good."""
    try:
        extracted = extract(raw_of(payload))
    except DocumentInvalid as error:
        raise Permanent(str(error)) from error
    ctx.log(f"extracted {len(extracted.body)} paragraphs of {extracted.document.lines} lines")
    return payload_of(extracted)


handler = lambda_handler(work)
