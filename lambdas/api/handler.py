"""The HTTP API: an event of API Gateway (payload 2.0) -> its operation, the turn inside -> the answer."""

from typing import Any

from pushlane.wiring.api import build_api


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer one request."""
    return build_api().handle(event)
