"""Structured logs: one JSON line an event, from an allow-list of fields, so that a payload can never appear.

Metrics are lines of the same stream in the embedded metric format, which CloudWatch takes out of it.
"""

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TextIO

from aws_lambda_powertools import Logger

_ALLOWED: Final = """
agent_id capabilities changes code connection_id copied door due epoch error facts failed field frames_delivered
frames_gone frames_slow inputs key message_id next operation outcome pool pools principal_id reason recorded refused
repaired repeated replans request_id resolution run_ms source spans stale status stream streams task_id task_type
tenant_id trace_id workflow_id
"""
ALLOWED: Final = frozenset(_ALLOWED.split())
# Counts of what went well, by the batch: at level DEBUG, as long as none of these fields says anything. They were
# two fifths of all that is logged of a task, and its tenant, task and trace are in other lines.
ROUTINE: Final[Mapping[str, tuple[str, ...]]] = {
    "turn": ("replans",),
    "facts": (),
    "events": ("failed", "stale", "repeated", "refused"),
}


def structured_log(service: str, stream: TextIO | None = None) -> Callable[..., None]:
    """A function `log(event, **fields)` that writes one line (to stdout, or `stream`) and drops every field that is not
    allowed. What is `ROUTINE` is written only where POWERTOOLS_LOG_LEVEL is DEBUG.
    """
    # Where the line was written is always here; the event's name says it.
    logger = Logger(service=service, location=None, stream=stream)

    def log(event: str, **fields: Any) -> None:
        routine = event in ROUTINE and not any(fields.get(name) for name in ROUTINE[event])
        tell = logger.debug if routine else logger.info
        tell(event, extra={name: value for name, value in fields.items() if name in ALLOWED})

    return log


def write_metrics(lines: Iterable[Mapping[str, Any]]) -> None:
    """Write lines of the embedded metric format, bare: CloudWatch looks for `_aws` at the top of the line."""
    for line in lines:
        sys.stdout.write(json.dumps(line) + "\n")
