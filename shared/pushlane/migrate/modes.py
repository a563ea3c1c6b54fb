"""The mode of each tenant: a field of the policy, changed while everything runs."""

import uuid
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.model.agent import Agent
from pushlane.model.errors import PushlaneError
from pushlane.model.mode import Mode, Route
from pushlane.model.policy import Policy
from pushlane.model.policy_document import parse_policy
from pushlane.ports import ItemStore, Table
from pushlane.state import keys
from pushlane.state.items import agent_of
from pushlane.state.policies import (
    PolicyChange,
    PolicyContended,
    PolicyMoved,
    StoredPolicy,
    current_revision,
    set_policy,
    stored_policy,
)
from pushlane.state.pools import registered_pools

_TRIES: Final = 10
_AGENTS_MAX: Final = 1_000
# Which agents a mode needs, so that nothing is left without any.
_NEEDS: Final[Mapping[Mode | None, tuple[Route, ...]]] = {
    Mode.POLL: (Route.PULL,),
    Mode.SHADOW: (Route.PULL,),
    Mode.PUSH: (Route.PUSH,),
    Mode.PERCENT: (Route.PULL, Route.PUSH),
    None: (),
}
_MISSING: Final = {
    Route.PULL: "no agent of the endpoint kind pull is registered that takes work: register the pollers first",
    Route.PUSH: "no agent that is pushed to is registered and takes work: deploy one first",
}


class NobodyThere(PushlaneError):
    """The mode would leave the tenant's tasks to agents that are not there; nothing was changed."""


class TenantMode(Struct, frozen=True, kw_only=True):
    """A tenant's mode; None: whichever agent is free takes its tasks. `push_percent` in the mode percent."""

    tenant_id: str
    mode: Mode | None
    push_percent: int | None = None


def modes_of(policy: Policy) -> tuple[TenantMode, ...]:
    """The tenants that have a mode of their own."""
    return tuple(mode_of(policy, name) for name, one in sorted(policy.tenants.items()) if one.mode is not None)


def mode_of(policy: Policy, tenant_id: str) -> TenantMode:
    """The mode that holds for a tenant."""
    rules = policy.tenant(tenant_id)
    return TenantMode(tenant_id=tenant_id, mode=rules.mode, push_percent=rules.push_percent)


def read_policy(store: ItemStore) -> Policy:
    """The policy that is current, defaults filled in; raises `InvalidPolicy` when this version cannot read it."""
    found = stored_policy(store, current_revision(store))
    return Policy() if found is None else parse_policy(found.document.encode())


def set_mode(
    store: ItemStore, wanted: TenantMode, *, changed_by: str, now_ms: int, force: bool = False
) -> StoredPolicy:
    """Change one tenant's mode and nothing else of the policy, also while others change that. Routers go by it within
    a second; wake the pools with `wake_after_policy`, so that what waits follows.

    Raises `NobodyThere` unless `force`, `InvalidPolicy` for a percentage that is none, `PolicyContended`.
    """
    if not force:
        require_agents(store, wanted.mode)
    change_id = uuid.uuid4().hex
    for _ in range(_TRIES):
        revision = current_revision(store)
        found = stored_policy(store, revision)
        document = _with_mode({} if found is None else msgspec.json.decode(found.document), wanted)
        change = PolicyChange(
            document=msgspec.json.encode(document),
            change_id=change_id,
            changed_by=changed_by,
            expect_revision=revision,
        )
        try:
            return set_policy(store, change, now_ms)
        except PolicyMoved:
            continue  # somebody else changed it in between: their change stays, ours goes on top
    raise PolicyContended(f"the policy was changed {_TRIES} times in between; nothing was changed, set the mode again")


def require_agents(store: ItemStore, mode: Mode | None) -> None:
    """Raises `NobodyThere` when no agent of any pool takes tasks the way that the mode asks for."""
    there = {agent.route for agent in agents_of(store) if agent.accepting}
    for route in _NEEDS[mode]:
        if route not in there:
            raise NobodyThere(f"{_MISSING[route]}; or force it, and the tasks wait until there is one")


def agents_of(store: ItemStore) -> list[Agent]:
    """Every registered agent of every pool."""
    items = [
        item
        for pool in registered_pools(store)
        for item in store.query(Table.SCHEDULER, keys.pool_pk(pool), limit=_AGENTS_MAX)
    ]
    return [agent_of(item) for item in items if item.key.sk.startswith(keys.AGENT_PREFIX)]


def _with_mode(document: Mapping[str, Any], wanted: TenantMode) -> dict[str, Any]:
    """The document with the tenant's mode in it; without one, it has that of `default_tenant` no longer either."""
    tenants = dict(document.get("tenants", {}))
    default = document.get("default_tenant", {})
    said: dict[str, Any] = {k: v for k, v in tenants.get(wanted.tenant_id, {}).items() if k not in _FIELDS}
    inherited = any(default.get(name) is not None for name in _FIELDS)
    if wanted.mode is not None or inherited:
        said["mode"] = None if wanted.mode is None else wanted.mode.value
    if wanted.push_percent is not None or inherited:
        said["push_percent"] = wanted.push_percent
    if said:
        tenants[wanted.tenant_id] = said
    else:
        tenants.pop(wanted.tenant_id, None)
    return {**document, "tenants": tenants}


_FIELDS: Final = ("mode", "push_percent")
