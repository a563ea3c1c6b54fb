"""The authorizer of the HTTP and the WebSocket API: a credential -> who calls."""

from typing import Any

from pushlane.wiring.authorizer import build_authorizer


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer one request of API Gateway; raises when it cannot be said now."""
    return build_authorizer().handle(event)
