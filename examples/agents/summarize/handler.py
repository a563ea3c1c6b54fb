"""The summarize agent: a document becomes three to five verbatim key sentences and, with a model, a written summary.

Payload: `{"document": {...}}` as for the extract agent, or that agent's result.
Result: the extract result without `body`, with `sentences`, `method` and, from a model, `summary`.
The model is Bedrock's that `PUSHLANE_SUMMARY_MODEL` names; without it the summary is extractive only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from examples.agents.documents.content import DocumentInvalid
from examples.agents.documents.payloads import payload_of
from examples.agents.documents.summary import extract_of, summarize
from examples.agents.summarize.bedrock import model_from_environment
from pushlane.agent import Permanent, TaskContext, agent
from pushlane.wiring.agents import lambda_handler


@agent(task_types=("summarize",))
def work(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Summarize the document; one that can never be read fails for good, a model's failure is retried."""
    try:
        extracted = extract_of(payload)
    except DocumentInvalid as error:
        raise Permanent(str(error)) from error
    ctx.used(tokens=0)  # none without a model; what the task estimated goes back to its tenant's share
    summary = summarize(extracted, model_from_environment(ctx))
    ctx.log(f"chose {len(summary.sentences)} sentences; method {summary.method}")
    return payload_of(summary)


handler = lambda_handler(work)
