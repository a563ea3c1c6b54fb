"""docs/reference/metrics.md: the names of CloudWatch metrics, with the comments that stand above them in the code."""

import ast
import inspect
from collections.abc import Iterator

from pushlane.model import metrics
from tools.reference.markdown import code, opening, table

_SAID = """\
Namespace: `{namespace}`. They come from log lines in CloudWatch's embedded metric format. Neither tenants nor tasks
are a dimension: each value is billed as a metric of its own. Tenants' figures are in the measures (`pushlane report`,
`GET /v1/measures`)."""


def page() -> str:
    """The page."""
    start = opening("Metrics", "`shared/pushlane/model/metrics.py`", _SAID.format(namespace=metrics.NAMESPACE))
    return "\n".join([start, *(f"{said}\n\n{table(['metric', 'unit'], rows)}" for said, rows in _groups())])


def _groups() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """The comment above each group of constants, and the group."""
    lines = inspect.getsource(metrics).splitlines()
    comment: list[str] = []
    names: list[tuple[str, str]] = []
    for line in lines:
        if line.startswith("#"):
            if names:
                yield " ".join(comment), names
                comment, names = [], []
            comment.append(line.removeprefix("#").strip())
        elif ": Final = " in line and not line.startswith("NAMESPACE"):
            name = str(ast.literal_eval(line.partition(" = ")[2]))
            names.append((code(name), "milliseconds" if name.endswith("Ms") else "count"))
    yield " ".join(comment), names
