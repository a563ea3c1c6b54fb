"""docs/reference/events.md: what producers send, what is published, and what a fact may say."""

from typing import Any, Final

import msgspec

from pushlane.model.callback import CallbackEvent
from pushlane.model.commands import COMMANDS
from pushlane.model.events import FactData, FactMetadata, FactName, SetPolicy, SubmitTask
from pushlane.model.workflow_document import SubmitWorkflow
from tools.reference.markdown import code, first_sentence, opening, table

_SAID: Final = """\
Every event is an envelope `{"metadata": {...}, "data": {...}}`. What producers send is checked strictly: an
unknown field is refused. The JSON Schemas are in [docs/events](../events/)."""
_FACTS: Final = """\
Published on the facts bus; `detail-type` is the name. Ends of tasks, dead letters and trouble also go to the
announcements topic ([which](../webhooks.md#announcements))."""

FACTS: Final[dict[FactName, str]] = {
    FactName.TASK_ACCEPTED: "the task's row is committed: the promise holds from here",
    FactName.TASK_PARKED: "it waits in its lane; `reason` says for what",
    FactName.TASK_DISPATCHED: "an attempt holds a reservation and is on its way to its agent",
    FactName.TASK_STARTED: "the agent has begun",
    FactName.TASK_RETRYING: "the attempt failed; the next one waits for its time",
    FactName.TASK_BLOCKED: "it waits for other tasks of its workflow",
    FactName.TASK_WAITING: "its attempt goes on and has given back what it held for a while",
    FactName.TASK_SUSPENDED: "no attempt: it sleeps, or waits for a signal",
    FactName.TASK_DEAD_LETTERED: "its retries are used up; it rests until somebody decides",
    FactName.TASK_CANCELLED: "it was stopped on request, or skipped because its parents failed",
    FactName.TASK_SUCCEEDED: "it is done, once; `result` is its result, or a claim check",
    FactName.TASK_FAILED: "it is given up; `reason` says why",
    FactName.TASK_EXPIRED: "its hard deadline could not be made",
    FactName.TASK_REJECTED: "a submission was not accepted; `field`, `reason`, `retry_after_seconds`",
    FactName.RESULT_STALE: "an attempt that is over said something; it changed nothing",
    FactName.COMMAND_REFUSED: "a command to a task or workflow was not obeyed",
    FactName.SIGNAL_ACCEPTED: "a signal has reached its task",
    FactName.WORKFLOW_ACCEPTED: "the workflow is committed",
    FactName.WORKFLOW_STARTED: "all its tasks are there, and the first may go",
    FactName.WORKFLOW_ENDED: "all its tasks have ended; `counts` by how",
    FactName.SCHEDULE_FIRED: "a schedule submitted what it holds",
    FactName.SCHEDULE_MISSED: "a firing came too late, and nothing was submitted",
    FactName.AGENT_UNAVAILABLE: "an agent does not start what it gets, or is not heard of: nothing is offered to it",
    FactName.AGENT_AVAILABLE: "it is offered tasks again",
    FactName.CAPACITY_REPAIRED: "the sweep has corrected a counter from the live reservations",
    FactName.BACKPRESSURE_CHANGED: "a tenant's lane is nearly full (`code` is `on`), or has room again (`off`)",
    FactName.BUDGET_EXCEEDED: "a tenant is past a soft token budget; once a window",
    FactName.RESOURCE_PAUSED: "a provider asked for a pause: nobody draws on the resource",
    FactName.POLICY_CHANGED: "another revision of the policy is in force",
    FactName.POLICY_REFUSED: "a `SetPolicy` event was not obeyed; the policy before it stays",
}


def page() -> str:
    """The page. Raises KeyError for a fact that nobody has described."""
    told = {event.value for event in CallbackEvent}
    facts = ((code(name), FACTS[name], "yes" if name.value in told else "") for name in FactName)
    parts = [
        opening("Events and facts", "`shared/pushlane/model`", _SAID),
        f"## Sent by producers and operators\n\n{_sent()}",
        f"## Facts\n\n{_FACTS}\n",
        table(["fact", "what happened", "may be a callback"], facts),
        f"## Metadata of a fact\n\n{FactMetadata.__doc__}\n\n{_fields(FactMetadata)}",
        f"## Data of a fact\n\n{FactData.__doc__}\n\n{_fields(FactData)}",
    ]
    return "\n".join(_flush(part) for part in parts)


def _sent() -> str:
    kinds: dict[str, type[msgspec.Struct]] = {
        "SubmitTask": SubmitTask,
        "SubmitWorkflow": SubmitWorkflow,
        **COMMANDS,
        "SetPolicy": SetPolicy,
    }
    return table(
        ["event", "what it does"], ((_link(name), first_sentence(kind.__doc__)) for name, kind in kinds.items())
    )


def _link(name: str) -> str:
    words = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).removeprefix("-")
    return f"[`{name}`](../events/{words}.v1.json)"


def _fields(kind: type[msgspec.Struct]) -> str:
    rows = ((code(field.encode_name), _name_of(field.type)) for field in msgspec.structs.fields(kind))
    return table(["field", "type"], rows)


def _name_of(kind: Any) -> str:
    plain = getattr(kind, "__name__", None) if isinstance(kind, type) and not hasattr(kind, "__origin__") else None
    return code(plain or str(kind).replace("typing.", "").replace("NoneType", "None"))


def _flush(text: str) -> str:
    """A docstring's indentation has no place on a page."""
    return "\n".join(line.removeprefix("    ") for line in text.splitlines()) + "\n"
