"""What follows a failed attempt: a pure decision from the policy, the epoch and the error; and how many may follow."""

from collections.abc import Mapping
from typing import Final

import msgspec

from pushlane.model.attempt import ErrorDetail
from pushlane.model.ids import stable_bucket
from pushlane.model.policy import Policy
from pushlane.model.task import RetryPolicy, Status
from pushlane.scheduling.decisions import Fail, Retry
from pushlane.scheduling.rates import Gcra, drawn, gcra
from pushlane.scheduling.snapshot import AccountRef, AccountView, Finished, held_by

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


def retry_rate(policy: Policy, tenant_id: str) -> Gcra | None:
    """The budget of a tenant's retries in one tier of a pool; None: it has no limit."""
    per_minute = policy.tenant(tenant_id).retries_per_minute
    return None if per_minute is None else gcra(per_minute, per_minute)


def draws_budget(retry: Retry) -> bool:
    """What a busy provider refused costs no retry, and waits for the provider anyway."""
    return not (isinstance(retry.ended, Finished) and retry.ended.outcome.throttled is not None)


class RetryBudget:
    """What a plan draws of its tenants' budgets. A retry over the budget is not lost: it comes when there is room.

    A retry counts when it is decided, so a long backoff holds up no others.
    """

    def __init__(self, policy: Policy, accounts: Mapping[AccountRef, AccountView], now_ms: int) -> None:
        self._policy = policy
        self._accounts = accounts
        self._now_us = now_ms * 1_000
        self._tat_us: dict[AccountRef, int] = {}

    def within(self, retry: Retry) -> Retry | Fail:
        """The retry at a time that the budget admits; a hard deadline that cannot be made then ends it here."""
        held = held_by(retry.ended)
        ref = (held.tier, held.tenant_id)
        rate = retry_rate(self._policy, held.tenant_id)
        if rate is None or not draws_budget(retry):
            return retry
        seen = self._accounts.get(ref, AccountView()).retry_tat_us
        tat_us = self._tat_us.get(ref, seen)
        admitted_ms = -(-rate.admits_at_us(tat_us, 1) // 1_000)
        self._tat_us[ref] = drawn(tat_us, self._now_us, rate.time_of(1))
        if admitted_ms <= retry.due_ms:
            return retry
        if retry.entry.hard and retry.entry.late(admitted_ms):
            return Fail(ended=retry.ended, error=retry.error, status=Status.EXPIRED)
        return msgspec.structs.replace(retry, due_ms=admitted_ms)
