"""What the logs of a step take: its lines as the deployed functions write them, in bytes."""

import io
import json
from collections.abc import Mapping
from contextlib import redirect_stdout
from functools import cache
from typing import Any, Final

from pushlane.wiring.logs import structured_log, write_metrics

# What CloudWatch adds to each line that it takes in, and bills for.
EVENT_BYTES: Final = 26
# What the logger adds where X-Ray is on, as it is on AWS and is not here.
TRACE_BYTES: Final = len('"xray_trace_id":"1-5759e988-bd862e3fe1be46a994272793",')
_SERVICES: Final = {"agent": "agent", "lifecycle": "lifecycle", "streamer": "streamer", "sweep": "sweep"}
_lines: Final = io.StringIO()


def line_bytes(step: str, event: str, fields: Mapping[str, Any]) -> int:
    """One line of a handler's log."""
    _logs(_SERVICES.get(step, "router"))(event, **fields)
    written = _taken()
    return written + TRACE_BYTES if written else 0  # none, where it is routine


def metric_bytes(metric: Mapping[str, Any]) -> int:
    """One line of metrics."""
    with redirect_stdout(_lines):
        write_metrics([metric])
    return _taken()


@cache
def _logs(service: str) -> Any:
    return structured_log(service, _lines)


def _taken() -> int:
    said = _lines.getvalue()
    _lines.seek(0)
    _lines.truncate()
    return sum(len(line.encode()) + EVENT_BYTES for line in said.splitlines() if json.loads(line))
