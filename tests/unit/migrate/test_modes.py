"""Setting a mode changes one field of the policy, beside whatever others change; and leaves no tenant to nobody."""

from collections.abc import Sequence

import msgspec
import pytest

from pushlane.migrate import modes
from pushlane.migrate.modes import NobodyThere, TenantMode, mode_of, modes_of, read_policy, set_mode
from pushlane.model.endpoint import Endpoint, EndpointKind
from pushlane.model.mode import Mode
from pushlane.model.policy_document import InvalidPolicy, parse_policy
from pushlane.ports import ItemStore
from pushlane.state.policies import PolicyChange, StoredPolicy, current_revision, set_policy
from pushlane.testing import InMemoryDispatcher

NOW = 1_700_000_000_000
PULL = Endpoint(kind=EndpointKind.PULL)


def a_world() -> InMemoryDispatcher:
    dispatcher = InMemoryDispatcher()
    dispatcher.register(None, agent_id="pushed", capabilities=("work",))
    dispatcher.register(None, agent_id="poller", capabilities=("work",), endpoint=PULL)
    return dispatcher


def put(store: ItemStore, mode: Mode | None, share: int | None = None, *, force: bool = False) -> StoredPolicy:
    wanted = TenantMode(tenant_id="atlas", mode=mode, push_percent=share)
    return set_mode(store, wanted, changed_by="ann", now_ms=NOW, force=force)


def test_only_the_mode_changes_and_goes_away_again() -> None:
    dispatcher = a_world()
    dispatcher.set_policy(tenants={"atlas": {"weight": 3}, "boreal": {"weight": 2}}, token_cost_ms=2)
    before = read_policy(dispatcher.store)
    put(dispatcher.store, Mode.PERCENT, 20)
    now = read_policy(dispatcher.store)
    assert mode_of(now, "atlas") == TenantMode(tenant_id="atlas", mode=Mode.PERCENT, push_percent=20)
    assert (now.tenants["atlas"].weight, now.tenants["boreal"], now.token_cost_ms) == (3, before.tenants["boreal"], 2)
    put(dispatcher.store, Mode.PUSH)
    assert modes_of(read_policy(dispatcher.store)) == (TenantMode(tenant_id="atlas", mode=Mode.PUSH),)
    put(dispatcher.store, None)
    assert read_policy(dispatcher.store) == before


def test_a_tenant_of_its_own_differs_from_a_default_that_has_a_mode() -> None:
    dispatcher = a_world()
    dispatcher.set_policy(default_tenant={"mode": "percent", "push_percent": 5})
    assert mode_of(read_policy(dispatcher.store), "atlas").push_percent == 5
    put(dispatcher.store, Mode.PUSH)
    assert mode_of(read_policy(dispatcher.store), "atlas") == TenantMode(tenant_id="atlas", mode=Mode.PUSH)
    put(dispatcher.store, None)
    assert mode_of(read_policy(dispatcher.store), "atlas").mode is None


def test_what_others_change_meanwhile_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    dispatcher = a_world()
    others = iter([{"token_cost_ms": 7}, {"token_cost_ms": 7, "tenants": {"boreal": {"weight": 2}}}])

    def overtaken(store: ItemStore, change: PolicyChange, now_ms: int) -> StoredPolicy:
        for document in others:
            theirs = PolicyChange(document=msgspec.json.encode(document), change_id=str(document), changed_by="bob")
            set_policy(store, theirs, now_ms)
            break
        return set_policy(store, change, now_ms)

    monkeypatch.setattr(modes, "set_policy", overtaken)
    put(dispatcher.store, Mode.POLL)
    now = read_policy(dispatcher.store)
    assert (now.token_cost_ms, now.tenants["boreal"].weight, mode_of(now, "atlas").mode) == (7, 2, Mode.POLL)
    assert current_revision(dispatcher.store) == 3


@pytest.mark.parametrize(
    ("there", "mode", "missing"),
    [
        ([], Mode.POLL, "kind pull"),
        (["pushed"], Mode.SHADOW, "kind pull"),
        (["poller"], Mode.PUSH, "pushed to"),
        (["poller"], Mode.PERCENT, "pushed to"),
        (["pushed"], Mode.PERCENT, "kind pull"),
    ],
)
def test_a_mode_that_leaves_its_tasks_to_nobody_is_refused_unless_forced(
    there: Sequence[str], mode: Mode, missing: str
) -> None:
    dispatcher = InMemoryDispatcher()
    for name in there:
        endpoint = PULL if name == "poller" else None
        dispatcher.register(None, agent_id=name, capabilities=("work",), endpoint=endpoint)
    share = 10 if mode is Mode.PERCENT else None
    with pytest.raises(NobodyThere, match=missing):
        put(dispatcher.store, mode, share)
    assert current_revision(dispatcher.store) == 0
    put(dispatcher.store, mode, share, force=True)
    assert mode_of(read_policy(dispatcher.store), "atlas").mode is mode


@pytest.mark.parametrize(
    ("tenant", "reason"),
    [
        ({"mode": "percent"}, "push_percent: is missing"),
        ({"mode": "push", "push_percent": 5}, "push_percent: means nothing"),
        ({"push_percent": 5}, "push_percent: means nothing"),
        ({"mode": "percent", "push_percent": 101}, "push_percent"),
        ({"mode": "pull"}, "mode"),
    ],
)
def test_modes_that_mean_nothing_are_refused_by_field(tenant: dict[str, object], reason: str) -> None:
    with pytest.raises(InvalidPolicy, match=reason):
        parse_policy(msgspec.json.encode({"tenants": {"atlas": tenant}}))
