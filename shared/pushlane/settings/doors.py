"""Doors that belong to one tenant each, as the router's settings name them."""

from collections.abc import Mapping


def tenant_doors_text(doors: Mapping[str, str]) -> str:
    """Queue ARN -> tenant, as one setting. Neither has a comma or an equals sign in it."""
    return ",".join(f"{queue_arn}={tenant_id}" for queue_arn, tenant_id in doors.items())


def tenant_doors_of(text: str) -> dict[str, str]:
    """Queue ARN -> tenant, read back."""
    return dict(part.split("=", 1) for part in text.split(",") if part)
