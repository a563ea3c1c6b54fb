"""The smallest agent: a plain function and one line that makes it a Lambda handler."""

from collections.abc import Mapping
from typing import Any

from pushlane.agent import Permanent, TaskContext, agent
from pushlane.wiring.agents import lambda_handler


@agent(task_types=("greet",))
def greet(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    if "name" not in payload:
        raise Permanent("payload.name is missing")  # no retry can mend that; any other exception is retried
    ctx.check_in(progress={"greeting": payload["name"]})
    return {"greeting": f"Hello, {payload['name']}!", "attempt": ctx.attempt}


handler = lambda_handler(greet)
