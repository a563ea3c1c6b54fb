"""The attempt: one try of a task, numbered by its epoch, owned by the one invocation (runner) that started it."""

from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct

from pushlane.model.ids import digest
from pushlane.model.task import Tier


class OutcomeKind(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class ErrorDetail(Struct, frozen=True, kw_only=True):
    """Why an attempt failed; kept with the task. `retryable` is the agent's own word."""

    error_type: str
    message: str
    retryable: bool = True


class Outcome(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the runner says of its attempt. `result` is a JSON object or a claim check."""

    kind: OutcomeKind
    started_at_ms: int
    finished_at_ms: int
    result: dict[str, Any] | None = None
    error: ErrorDetail | None = None


class Attempt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A live attempt: the reservation of one agent slot, and the lease that keeps it."""

    task_id: str
    epoch: int
    tenant_id: str
    pool: str
    agent_id: str
    task_type: str
    tier: Tier
    dispatched_at_ms: int
    lease_until_ms: int
    pushes: int = 1
    runner: str | None = None
    started_at_ms: int | None = None
    outcome: Outcome | None = None


def outcome_digest(outcome: Outcome) -> str:
    """Fingerprint that binds the nudge's copy of an outcome to the one stored on the attempt."""
    return digest(msgspec.json.encode(outcome, order="sorted").decode())
