"""The courier: ends of tasks and dispatches -> URLs and connections of others."""

from typing import Any

from pushlane.wiring.courier import build_courier


def handler(event: dict[str, Any], _context: object) -> dict[str, list[dict[str, str]]]:
    """Deliver one batch of a queue; answers with the messages to deliver again."""
    return build_courier().handle(event)
