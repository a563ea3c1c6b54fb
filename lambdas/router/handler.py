"""The router: intake queues, Kinesis, results and wake-ups -> turns -> dispatch."""

from typing import Any

from pushlane.wiring.router import build_router


def handler(event: dict[str, Any], _context: object) -> dict[str, list[dict[str, str]]]:
    """Handle one batch of any event source mapping; answers with the records to deliver again."""
    return build_router().handle(event)
