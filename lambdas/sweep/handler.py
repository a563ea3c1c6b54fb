"""The sweep: once a minute, what no message brought."""

from typing import Any

from pushlane.wiring.sweep import build_sweep


def handler(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Sweep every pool; raises if one failed, so that the alarm on errors sees it."""
    return build_sweep()()
