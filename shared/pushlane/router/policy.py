"""Which policy turns go by: the current one of the config table, cached for a second."""

from collections.abc import Callable
from typing import Final

import msgspec

from pushlane.model.policy import Policy
from pushlane.model.policy_document import InvalidPolicy, parse_policy
from pushlane.ports import Clock, ItemStore
from pushlane.state.policies import StoredPolicy, current_revision, policy_history, stored_policy

CACHE_MS: Final = 1_000
# How far a new process looks back for a revision that it can read.
_LOOK_BACK: Final = 10


class PolicyDirectory:
    """The policy as of at most a second ago. `log` takes an event name and its fields."""

    def __init__(self, store: ItemStore, clock: Clock, log: Callable[..., None]) -> None:
        self._store = store
        self._clock = clock
        self._log = log
        self._policy = Policy()
        self._revision: int | None = None
        self._read_at_ms: int | None = None

    def current(self) -> Policy:
        """The policy with its number in `revision`; the defaults when none was ever set.

        A revision that this version of the code cannot read is passed over: the last good one stays, and the log says
        so. Raises `StoreUnavailable`.
        """
        now_ms = self._clock.now_ms()
        if self._read_at_ms is None or now_ms - self._read_at_ms >= CACHE_MS:
            self._follow(current_revision(self._store))
            self._read_at_ms = now_ms
        return self._policy

    def _follow(self, revision: int) -> None:
        if revision == (self._revision or 0):
            return
        stored = stored_policy(self._store, revision)
        policy = None if stored is None else self._read(stored)
        if policy is None and self._revision is None:
            policy = self._last_good()
        self._policy = policy or self._policy
        self._revision = revision

    def _last_good(self) -> Policy | None:
        earlier = policy_history(self._store, _LOOK_BACK)[1:]
        return next((policy for one in earlier if (policy := self._read(one)) is not None), None)

    def _read(self, stored: StoredPolicy) -> Policy | None:
        try:
            policy = parse_policy(stored.document.encode())
        except InvalidPolicy as error:
            self._log("policy-unreadable", revision=stored.revision, field=error.field, error=error.reason)
            return None
        return msgspec.structs.replace(policy, revision=stored.revision)
