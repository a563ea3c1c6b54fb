"""The WebSocket API: connections, what they want to follow, and what they tell tasks."""

from collections.abc import Mapping
from typing import Any

from pushlane.wiring.sockets import build_sockets


def handler(event: dict[str, Any], _context: object) -> Mapping[str, Any]:
    """Answer one WebSocket event; a body in the answer goes back to the connection."""
    return build_sockets().handle(event)
