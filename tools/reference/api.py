"""docs/reference/api.md: every operation of the HTTP API, from the table that serves it."""

from pushlane.api.catalogue import OPERATIONS
from pushlane.api.operations import Operation
from tools.reference.markdown import code, opening, table

_SAID = """\
Bodies, queries and answers are in [openapi.json](../openapi.json), the rest in [The HTTP API](../api.md). Who may: the
roles of [Trust](../trust.md#keys-tokens-of-an-issuer-roles). An operation "of the installation" is refused to
everybody who is bound to a tenant."""


def page() -> str:
    """The page."""
    start = opening("Operations of the HTTP API", "the operations in `shared/pushlane/api/catalogue.py`", _SAID)
    rows = (_row(one) for one in sorted(OPERATIONS, key=lambda one: (one.path, one.method)))
    return f"{start}\n{table(['operation', 'what it does', 'who may', 'answers'], rows)}"


def _row(operation: Operation) -> tuple[str, str, str, str]:
    roles = "everybody" if operation.public else ", ".join(sorted(role.value for role in operation.roles))
    who = f"{roles}, of the installation" if operation.of_installation else roles
    answers = ", ".join(str(status) for status in sorted(operation.responses))
    return code(f"{operation.method} {operation.path}"), operation.summary, who, answers
