"""The streamer: what agents emit and the facts of tasks -> the numbered event log of each task."""

from typing import Any

from pushlane.wiring.streamer import build_streamer


def handler(event: dict[str, Any], _context: object) -> dict[str, list[dict[str, str]]]:
    """Append one batch of the events queue; answers with the messages to deliver again."""
    return build_streamer().handle(event)
