"""Structured logs: one JSON line an event, from an allow-list of fields, so that a payload can never appear."""

from collections.abc import Callable
from typing import Any, Final

from aws_lambda_powertools import Logger

_ALLOWED: Final = """
agent_id capabilities changes code door due epoch error facts failed field inputs key message_id next outcome pool pools
reason repaired replans resolution run_ms task_id task_type tenant_id
"""
ALLOWED: Final = frozenset(_ALLOWED.split())


def structured_log(service: str) -> Callable[..., None]:
    """A function `log(event, **fields)` that writes one line and drops every field that is not allowed."""
    logger = Logger(service=service)

    def log(event: str, **fields: Any) -> None:
        logger.info(event, extra={name: value for name, value in fields.items() if name in ALLOWED})

    return log
