"""The lifecycle: committed changes from the tables' streams -> facts."""

from typing import Any

from pushlane.wiring.lifecycle import build_lifecycle


def handler(event: dict[str, Any], _context: object) -> dict[str, list[dict[str, str]]]:
    """Publish the facts of one stream batch; raises when they could not be published, and the batch comes again."""
    build_lifecycle()(event)
    return {"batchItemFailures": []}
