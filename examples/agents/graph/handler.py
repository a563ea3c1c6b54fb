"""The reply agent: a LangGraph graph whose nodes' ends are the task's checkpoints, and whose interrupt is a signal.

Payload: `{"letter": "..."}`. Result: `{"kind", "reply", "comments", "sent_as"}`. A refund waits for the signal
`review`: `{"approved": true}` or `{"approved": false, "comment": "..."}`.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from examples.agents.graph.desk import Desk, Outbox, Writer, letters
from pushlane.agent import AgentDefinition, TaskContext, agent
from pushlane.agent.langgraph import run_graph
from pushlane.wiring.agents import lambda_handler

GRAPH = letters()


class Incoming(Struct, frozen=True):
    """A letter to answer."""

    letter: Annotated[str, Meta(min_length=1)]


class Answered(Struct, frozen=True):
    """What was sent, and what was said about earlier drafts."""

    kind: str
    reply: str
    comments: list[str]
    sent_as: str


class Form:
    """Writes by rule, so that the example needs no model; inject one that calls `pushlane.agent.bedrock` instead."""

    def reply(self, letter: str, kind: str, comments: list[str]) -> str:
        opening = "We pay it back." if kind == "refund" else "Thank you for asking."
        noted = "".join(f" ({comment})" for comment in comments)
        return f"{opening}{noted} You wrote: {letter}"


class Nowhere:
    """Sends nothing: the name under which a reply would be sent is its key."""

    def send(self, key: str, text: str) -> str:
        return key


def answering(writer: Writer, outbox: Outbox) -> AgentDefinition:
    """The agent, with its writer and its outbox."""

    @agent(task_types=("reply",), payload=Incoming, result=Answered)
    def answer(ctx: TaskContext, payload: Incoming) -> Answered:
        desk = Desk(writer, outbox, key=ctx.step("reply"))
        state = run_graph(ctx, GRAPH, {"letter": payload.letter}, context=desk)
        return Answered(state["kind"], state["draft"], state["comments"], state["sent_as"])

    return answer


work = answering(Form(), Nowhere())
handler = lambda_handler(work)
