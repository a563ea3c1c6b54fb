"""The chaos agent: fails in the way its payload orders. Only for local tests; do not deploy it beside real agents.

Payload: an `Order` as in `misbehaviour.py`; with `times` only the first so many attempts misbehave. Result:
`{"value", "attempt"}`, and of steps how many there were and where this attempt went on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from examples.agents.chaos.misbehaviour import MisbehavedForGood, Order, carry_out
from examples.agents.documents.content import DocumentInvalid
from examples.agents.documents.payloads import value_of
from pushlane.agent import Permanent, TaskContext, agent
from pushlane.wiring.agents import lambda_handler


@agent(task_types=("chaos",))
def work(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Carry out the order."""
    try:
        return carry_out(value_of(payload, Order), ctx)
    except (DocumentInvalid, MisbehavedForGood) as error:
        raise Permanent(str(error)) from error


handler = lambda_handler(work)
