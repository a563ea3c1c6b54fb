"""What follows a failed attempt: a pure decision from the policy, the epoch and the error."""

from typing import Final

from pushlane.model.attempt import ErrorDetail
from pushlane.model.ids import stable_bucket
from pushlane.model.task import RetryPolicy

_JITTER_STEPS: Final = 1_000


def retry_delay_ms(policy: RetryPolicy, task_id: str, epoch: int) -> int:
    """Wait before attempt `epoch + 1`, in milliseconds: exponential, capped, with "equal jitter" (half fixed, half
    spread; Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015). The spread comes from the task's
    own id, so the decision is repeatable and no two tasks share it.
    """
    ceiling = min(policy.backoff_max_seconds, policy.backoff_seconds * 2.0 ** (epoch - 1))
    spread = stable_bucket(f"{task_id}/{epoch}", _JITTER_STEPS) / _JITTER_STEPS
    return round(ceiling * (0.5 + 0.5 * spread) * 1_000)


def may_retry(policy: RetryPolicy, epoch: int, error: ErrorDetail) -> bool:
    return error.retryable and epoch < policy.max_attempts
