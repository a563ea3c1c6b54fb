"""Tenants on their way from polling to push, and back: in some of the worlds where agents claim."""

from typing import Any, Final

import msgspec

from pushlane.model.mode import Mode
from pushlane.model.policy import Policy, TenantPolicy
from tests.reliability.chance import Chance
from tests.reliability.tasks import TENANTS

_WORLDS: Final = 0.6
_OWN: Final = 6_113
_MODES: Final = (None, Mode.POLL, Mode.SHADOW, Mode.PUSH, Mode.PUSH, Mode.PERCENT)
_SHARES: Final = (0, 10, 50, 90)


class Moves:
    """Each policy finds every tenant in another mode. It has a chance of its own, so that worlds without it stay what
    they were.
    """

    def __init__(self, seed: int, *, claims: bool) -> None:
        self._chance = Chance(seed * _OWN + 1)
        self._here = claims and self._chance.hit(_WORLDS)

    def in_policy(self, policy: Policy) -> Policy:
        if not self._here:
            return policy
        tenants = {name: self._moved(policy.tenant(name)) for name in TENANTS}
        return msgspec.structs.replace(policy, tenants={**policy.tenants, **tenants})

    def _moved(self, rules: TenantPolicy) -> TenantPolicy:
        mode = self._chance.pick(_MODES)
        share = self._chance.pick(_SHARES) if mode is Mode.PERCENT else None
        return msgspec.structs.replace(rules, mode=mode, push_percent=share)


def without_modes(policy: Policy) -> Policy:
    """The same, so that whichever agent there is takes what waits."""
    none: dict[str, Any] = {"mode": None, "push_percent": None}
    tenants = {name: msgspec.structs.replace(rules, **none) for name, rules in policy.tenants.items()}
    return msgspec.structs.replace(policy, tenants=tenants)
