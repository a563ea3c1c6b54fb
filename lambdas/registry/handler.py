"""The registry: agents declared in CDK -> the scheduler's table, as a CloudFormation custom resource."""

from typing import Any

from pushlane.wiring.registry import build_registry


def handler(event: dict[str, Any], context: Any) -> None:
    """Apply one request of CloudFormation and answer it; it is always answered, with the reason when it fails."""
    build_registry().answer(event, context.get_remaining_time_in_millis)
