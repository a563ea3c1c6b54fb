"""A graph that answers letters: it sorts a letter, drafts a reply, has a person look at what costs money, and sends it.

The nodes are plain functions; what they need of the outside (a writer, an outbox) is the graph's runtime context.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import interrupt

REVIEW = "review"
"""The signal that a review waits for: `{"approved": true}`, or `{"approved": false, "comment": "..."}`."""


class Letter(TypedDict, total=False):
    """The graph's state: the payload is `letter`, the rest is what the nodes add."""

    letter: str
    kind: Literal["refund", "question"]
    draft: str
    comments: list[str]
    approved: bool
    sent_as: str


class Writer(Protocol):
    """Writes a reply: a model, or a rule."""

    def reply(self, letter: str, kind: str, comments: list[str]) -> str: ...


class Outbox(Protocol):
    """Sends a reply once for each key; returns its name."""

    def send(self, key: str, text: str) -> str: ...


@dataclass(frozen=True)
class Desk:
    """What the nodes need: `key` makes sending idempotent."""

    writer: Writer
    outbox: Outbox
    key: str


def sort(state: Letter) -> Letter:
    """A letter about money back is a refund, any other a question."""
    about_money = re.search(r"\b(refund|money back|charged)\b", state["letter"], re.IGNORECASE)
    return {"kind": "refund" if about_money else "question", "comments": []}


def draft(state: Letter, runtime: Runtime[Desk]) -> Letter:
    return {"draft": runtime.context.writer.reply(state["letter"], state["kind"], state["comments"])}


def review(state: Letter) -> Letter:
    """Wait for a person. LangGraph runs the node again from its start when the answer is there."""
    said: dict[str, Any] = interrupt({"signal": REVIEW, "draft": state["draft"]})
    if said.get("approved"):
        return {"approved": True}
    return {"approved": False, "comments": [*state["comments"], str(said.get("comment", "no reason given"))]}


def send(state: Letter, runtime: Runtime[Desk]) -> Letter:
    return {"sent_as": runtime.context.outbox.send(runtime.context.key, state["draft"])}


def after_draft(state: Letter) -> Literal["review", "send"]:
    return "review" if state["kind"] == "refund" else "send"


def after_review(state: Letter) -> Literal["draft", "send"]:
    return "send" if state["approved"] else "draft"


def letters() -> CompiledStateGraph[Letter, Desk, Letter, Letter]:
    """The graph: sort -> draft -> (review ->) send; a review that refuses goes back to draft."""
    graph = StateGraph(Letter, context_schema=Desk)
    graph.add_node("sort", sort)
    graph.add_node("draft", draft)
    graph.add_node("review", review)
    graph.add_node("send", send)
    graph.add_edge(START, "sort")
    graph.add_edge("sort", "draft")
    graph.add_conditional_edges("draft", after_draft)
    graph.add_conditional_edges("review", after_review)
    graph.add_edge("send", END)
    return graph.compile()
